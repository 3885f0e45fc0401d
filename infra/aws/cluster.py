"""The EKS cluster: its control plane, who may enter, and what nodes need to join."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from pulumi import CustomTimeouts, Output

from infra.aws.account import caller_cidr
from infra.aws.identity import PODS, allow, body, role
from infra.aws.logs import log_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.aws.account import Account
    from infra.aws.network import Network

_ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
_CNI = {
    "enableNetworkPolicy": "true",
    # A /28 of addresses at a time: more pods on a node, and they start faster.
    "env": {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"},
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """An EKS cluster; `for_nodes` must be there before any node joins.

    `entries` let people in: they outlive every object of the cluster, or nobody could
    delete those.
    """

    eks: aws.eks.Cluster
    for_nodes: list[pulumi.Resource]
    entries: list[pulumi.Resource]

    @property
    def security_group(self) -> Output[str]:
        """The group that EKS makes for the control plane and every node."""
        return self.eks.vpc_config.cluster_security_group_id


def cluster(here: Account, net: Network) -> Cluster:
    """The control plane, its log group and what runs on every node."""
    wanted = here.config.kubernetes
    logs = log_group(here, "control-plane-logs")
    itself, attached = role(
        here, "cluster", "eks.amazonaws.com", ["AmazonEKSClusterPolicy"]
    )
    # EKS looks by this role whether it still has its grant:
    # terraform-aws-modules/terraform-aws-eks#1913.
    looks = aws.iam.RolePolicy(
        "cluster",
        role=itself.name,
        policy=Output.json_dumps(body([allow(["kms:ListGrants"], [here.key])])),
        opts=here.options(),
    )
    eks = aws.eks.Cluster(
        "cluster",
        name=here.stack,
        role_arn=itself.arn,
        version=wanted.version,
        upgrade_policy={"support_type": wanted.support_type},
        bootstrap_self_managed_addons=False,
        enabled_cluster_log_types=wanted.enabled_log_types,
        deletion_protection=here.config.protection.deletion_protection,
        access_config={
            "authentication_mode": "API",
            "bootstrap_cluster_creator_admin_permissions": True,
        },
        vpc_config=_endpoints(here, net),
        # By a key of AWS all of the API's data are encrypted as well.
        encryption_config={"provider": {"key_arn": here.key}, "resources": ["secrets"]},
        kube_scheduler_config=_fill_gpu_nodes_first(),
        opts=here.guarded(
            depends_on=[*attached, looks, logs, *net.for_cluster],
            ignore_changes=_not_ours_to_change(here),
            custom_timeouts=CustomTimeouts(create="30m", update="60m", delete="30m"),
        ),
    )
    return Cluster(eks, _on_every_node(here, eks), _entries(here, eks))


def _endpoints(here: Account, net: Network) -> Any:  # noqa: ANN401 Pulumi's input
    wanted = here.config.kubernetes
    cidrs = wanted.public_access_cidrs
    if cidrs is None:
        cidrs = [caller_cidr()]
    return {
        "subnet_ids": net.control_plane,
        "endpoint_private_access": wanted.endpoint_private_access,
        "endpoint_public_access": bool(cidrs),
        "public_access_cidrs": cidrs or None,
    }


def _not_ours_to_change(here: Account) -> list[str]:
    """The creator's rights, which EKS takes once; and an address that was found out.

    It is of whoever made the cluster, and the next person's must not replace it.
    """
    ignored = ["accessConfig.bootstrapClusterCreatorAdminPermissions"]
    if here.config.kubernetes.public_access_cidrs is None:
        ignored.append("vpcConfig.publicAccessCidrs")
    return ignored


def _fill_gpu_nodes_first() -> Any:  # noqa: ANN401 Pulumi's input
    """Pods go where most is taken already, so that empty GPU nodes can be removed."""
    weights = {"cpu": 1, "memory": 1, "nvidia.com/gpu": 5}
    resources = [{"name": name, "weight": weight} for name, weight in weights.items()]
    strategy = {"type": "MostAllocated", "resources": resources}
    return {"node_resources_fit": {"scoring_strategy": strategy}}


def _entries(here: Account, eks: aws.eks.Cluster) -> list[pulumi.Resource]:
    made: list[pulumi.Resource] = []
    for arn in here.config.kubernetes.admin_principal_arns:
        # Account and path too: another's role may have the same name.
        name = "-".join(["admin", *re.split("[:/]", arn)[4:]])
        entry = aws.eks.AccessEntry(
            name, cluster_name=eks.name, principal_arn=arn, opts=here.options()
        )
        policy = aws.eks.AccessPolicyAssociation(
            name,
            cluster_name=eks.name,
            principal_arn=arn,
            policy_arn=_ADMIN,
            access_scope={"type": "cluster"},
            opts=here.options(depends_on=[entry]),
        )
        made += [entry, policy]
    return made


def _on_every_node(here: Account, eks: aws.eks.Cluster) -> list[pulumi.Resource]:
    """Add-ons that no node becomes ready without, and that outlive the last one."""
    cni_role, attached = role(here, "vpc-cni", PODS, ["AmazonEKS_CNI_Policy"])
    identity = {"role_arn": cni_role.arn, "service_account": "aws-node"}
    return [
        addon(here, eks, "kube-proxy"),
        addon(here, eks, "eks-pod-identity-agent"),
        addon(
            here,
            eks,
            "vpc-cni",
            after=attached,
            configuration_values=json.dumps(_CNI),
            pod_identity_associations=[identity],
            preserve=True,
        ),
    ]


def addon(
    here: Account,
    eks: aws.eks.Cluster,
    name: str,
    *,
    after: Sequence[pulumi.Resource] = (),
    **more: Any,  # noqa: ANN401 arguments of Addon
) -> aws.eks.Addon:
    """An add-on in the version that EKS has for the cluster when it is made."""
    return aws.eks.Addon(
        name,
        cluster_name=eks.name,
        addon_name=name,
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        opts=here.options(depends_on=list(after)),
        **more,
    )


def inside(
    here: Account, made: Cluster, ready: Sequence[pulumi.Resource]
) -> kubernetes.Provider:
    """The way into the cluster; every object in it goes before `ready` does."""
    return kubernetes.Provider(
        "eks",
        kubeconfig=kubeconfig(here, made.eks),
        cluster_identifier=made.eks.arn,
        opts=pulumi.ResourceOptions(depends_on=[made.eks, *made.entries, *ready]),
    )


def kubeconfig(here: Account, eks: aws.eks.Cluster) -> Output[str]:
    """A kubeconfig without a secret: a token is made when one is needed."""
    exec_plugin: dict[str, Any] = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "raylift",
        "args": ["eks-token", "--cluster", eks.name, "--region", here.region],
        "interactiveMode": "Never",
    }
    if here.config.aws.profile:
        exec_plugin["args"] += ["--profile", here.config.aws.profile]
    authority = eks.certificate_authority.data
    server = {"server": eks.endpoint, "certificate-authority-data": authority}
    context = {"cluster": here.stack, "user": here.stack}
    return Output.json_dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": here.stack,
            "clusters": [{"name": here.stack, "cluster": server}],
            "users": [{"name": here.stack, "user": {"exec": exec_plugin}}],
            "contexts": [{"name": here.stack, "context": context}],
        }
    )
