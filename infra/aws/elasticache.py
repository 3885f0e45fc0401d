"""ElastiCache for the head's state, so that it survives the loss of a zone."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from pulumi import CustomTimeouts, Output, ResourceOptions

from raylift.infra.kubernetes.object_scope import labels

if TYPE_CHECKING:
    import pulumi

    from raylift.infra.aws.account import Account
    from raylift.infra.aws.cluster import EksCluster
    from raylift.infra.aws.network import Network
    from raylift.infra.kubernetes.placement import Placement

_PORT = 6379


def replication_group(
    account: Account, net: Network, cluster: EksCluster
) -> tuple[aws.elasticache.ReplicationGroup, pulumi.Resource]:
    """Create Valkey with TLS and a password, and a rule that allows nodes to connect.

    The group is created in parallel with EKS. Only the rule depends on EKS, so it is
    returned separately.
    """
    config = account.config.fault_tolerance
    group, rule = _security_group(account, net, cluster)
    # Evicting keys would lose state of the Ray cluster.
    parameters = aws.elasticache.ParameterGroup(
        "gcs",
        family="valkey8",
        parameters=[{"name": "maxmemory-policy", "value": "noeviction"}],
        opts=account.options(),
    )
    subnets = aws.elasticache.SubnetGroup(
        "gcs", subnet_ids=list(net.private.values()), opts=account.options()
    )
    replicas = aws.elasticache.ReplicationGroup(
        "gcs",
        description=f"State of the Ray head of {account.stack}",
        engine="valkey",
        engine_version="8.0",
        node_type=config.node_type,
        num_cache_clusters=1 + config.replicas,
        automatic_failover_enabled=config.replicas > 0,
        multi_az_enabled=config.multi_az and config.replicas > 0,
        port=_PORT,
        parameter_group_name=parameters.name,
        subnet_group_name=subnets.name,
        security_group_ids=[group.id],
        at_rest_encryption_enabled=True,
        kms_key_id=account.key,
        transit_encryption_enabled=True,
        # ElastiCache refuses `_`, which token_urlsafe may contain.
        auth_token=Output.secret(secrets.token_hex(32)),
        opts=account.guarded(
            ignore_changes=[
                "authToken"
            ],  # each run generates one; the first stays in use
            additional_secret_outputs=["authToken"],
            custom_timeouts=CustomTimeouts(create="40m", update="60m", delete="40m"),
        ),
    )
    return replicas, rule


def _security_group(
    account: Account, net: Network, cluster: EksCluster
) -> tuple[aws.ec2.SecurityGroup, pulumi.Resource]:
    """Create a security group that admits only nodes of the cluster."""
    group = aws.ec2.SecurityGroup(
        "gcs",
        vpc_id=net.vpc_id,
        description="The Ray head's state, for nodes of the cluster",
        opts=account.options(),
    )
    rule = aws.vpc.SecurityGroupIngressRule(
        "gcs-from-nodes",
        security_group_id=group.id,
        referenced_security_group_id=cluster.security_group,
        description="Redis from nodes of the cluster",
        ip_protocol="tcp",
        from_port=_PORT,
        to_port=_PORT,
        opts=account.options(),
    )
    return group, rule


def options_of(
    placement: Placement, group: aws.elasticache.ReplicationGroup, after: list[Any]
) -> dict[str, Any]:
    """Return KubeRay's `gcsFaultToleranceOptions`; the password is in a Secret."""
    scope = placement.scope
    secret = kubernetes.core.v1.Secret(
        "gcs-password",
        metadata={
            "name": f"{scope.stack}-gcs",
            "namespace": scope.namespace,
            "labels": labels(scope),
        },
        string_data={"password": group.auth_token.apply(str)},
        opts=ResourceOptions(provider=placement.provider, depends_on=after),
    )
    reference = {"name": secret.metadata["name"], "key": "password"}
    return {
        "redisAddress": Output.format(
            "rediss://{0}:{1}", group.primary_endpoint_address, _PORT
        ),
        "redisPassword": {"valueFrom": {"secretKeyRef": reference}},
    }
