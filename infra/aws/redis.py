"""ElastiCache for the head's state: it outlives a zone, which a volume does not."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from pulumi import CustomTimeouts, Output, ResourceOptions

from infra.kubernetes.ray_service import labels

if TYPE_CHECKING:
    import pulumi

    from infra.aws.account import Account
    from infra.aws.cluster import Cluster
    from infra.aws.network import Network
    from infra.kubernetes.cluster import Cluster as Inside

_PORT = 6379


def replication_group(
    here: Account, net: Network, cluster: Cluster
) -> tuple[aws.elasticache.ReplicationGroup, pulumi.Resource]:
    """Valkey with TLS and a password, and the rule that lets nodes connect to it.

    It is made while EKS is; the rule waits for EKS, so it stands for itself.
    """
    wanted = here.config.fault_tolerance
    group, rule = _closed(here, net, cluster)
    # Keys must not be dropped when memory is short: they are the cluster.
    parameters = aws.elasticache.ParameterGroup(
        "gcs",
        family="valkey8",
        parameters=[{"name": "maxmemory-policy", "value": "noeviction"}],
        opts=here.options(),
    )
    subnets = aws.elasticache.SubnetGroup(
        "gcs", subnet_ids=list(net.private.values()), opts=here.options()
    )
    made = aws.elasticache.ReplicationGroup(
        "gcs",
        description=f"State of the Ray head of {here.stack}",
        engine="valkey",
        engine_version="8.0",
        node_type=wanted.node_type,
        num_cache_clusters=1 + wanted.replicas,
        automatic_failover_enabled=wanted.replicas > 0,
        multi_az_enabled=wanted.multi_az and wanted.replicas > 0,
        port=_PORT,
        parameter_group_name=parameters.name,
        subnet_group_name=subnets.name,
        security_group_ids=[group.id],
        at_rest_encryption_enabled=True,
        kms_key_id=here.key,
        transit_encryption_enabled=True,
        auth_token=Output.secret(secrets.token_urlsafe(32)),
        opts=here.guarded(
            ignore_changes=["authToken"],  # made once, then what the state keeps
            additional_secret_outputs=["authToken"],
            custom_timeouts=CustomTimeouts(create="40m", update="60m", delete="40m"),
        ),
    )
    return made, rule


def _closed(
    here: Account, net: Network, cluster: Cluster
) -> tuple[aws.ec2.SecurityGroup, pulumi.Resource]:
    """Only nodes of the cluster may connect."""
    group = aws.ec2.SecurityGroup(
        "gcs",
        vpc_id=net.vpc_id,
        description="The Ray head's state, for nodes of the cluster",
        opts=here.options(),
    )
    rule = aws.vpc.SecurityGroupIngressRule(
        "gcs-from-nodes",
        security_group_id=group.id,
        referenced_security_group_id=cluster.security_group,
        description="Redis from nodes of the cluster",
        ip_protocol="tcp",
        from_port=_PORT,
        to_port=_PORT,
        opts=here.options(),
    )
    return group, rule


def options_of(
    inside: Inside, group: aws.elasticache.ReplicationGroup, after: list[Any]
) -> dict[str, Any]:
    """KubeRay's `gcsFaultToleranceOptions` for that Redis, its password in a Secret."""
    place = inside.place
    secret = kubernetes.core.v1.Secret(
        "gcs-password",
        metadata={
            "name": f"{place.stack}-gcs",
            "namespace": place.namespace,
            "labels": labels(place),
        },
        string_data={"password": group.auth_token.apply(str)},
        opts=ResourceOptions(provider=inside.provider, depends_on=after),
    )
    reference = {"name": secret.metadata["name"], "key": "password"}
    return {
        "redisAddress": Output.format(
            "rediss://{0}:{1}", group.primary_endpoint_address, _PORT
        ),
        "redisPassword": {"valueFrom": {"secretKeyRef": reference}},
    }
