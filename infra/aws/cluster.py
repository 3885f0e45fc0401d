"""The EKS cluster: control plane, access entries, and prerequisites of nodes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as kubernetes
from pulumi import CustomTimeouts, Output

from raylift.infra.aws.account import caller_cidr
from raylift.infra.aws.addons import node_addons
from raylift.infra.aws.cloudwatch import log_group
from raylift.infra.aws.iam import (
    allow,
    body,
    role,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raylift.infra.aws.account import Account
    from raylift.infra.aws.network import Network

_ADMIN = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


@dataclass(frozen=True, slots=True)
class EksCluster:
    """An EKS cluster.

    The resources in `for_nodes` are created before any node joins. `entries` grant
    administrators access. They outlive every object in the cluster, because deleting an
    object requires access.
    """

    eks: aws.eks.Cluster
    for_nodes: list[pulumi.Resource]
    entries: list[pulumi.Resource]

    @property
    def security_group(self) -> Output[str]:
        """The group that EKS creates for the control plane and every node."""
        return self.eks.vpc_config.cluster_security_group_id


def cluster(account: Account, net: Network) -> EksCluster:
    """Create the control plane, its log group and the add-ons on every node."""
    config = account.config.kubernetes
    logs = log_group(account, "control-plane-logs")
    service, attached = role(
        account, "cluster", "eks.amazonaws.com", ["AmazonEKSClusterPolicy"]
    )
    # EKS verifies its grant with this role:
    # https://github.com/terraform-aws-modules/terraform-aws-eks/issues/1913
    grants = aws.iam.RolePolicy(
        "cluster",
        role=service.name,
        policy=Output.json_dumps(body([allow(["kms:ListGrants"], [account.key])])),
        opts=account.options(),
    )
    eks = aws.eks.Cluster(
        "cluster",
        name=account.stack,
        role_arn=service.arn,
        version=config.version,
        upgrade_policy={"support_type": config.support_type},
        bootstrap_self_managed_addons=False,
        enabled_cluster_log_types=config.enabled_log_types,
        deletion_protection=account.config.protection.deletion_protection,
        access_config={
            "authentication_mode": "API",
            "bootstrap_cluster_creator_admin_permissions": True,
        },
        vpc_config=_endpoints(account, net),
        # EKS encrypts all other API data with a key owned by AWS.
        encryption_config={
            "provider": {"key_arn": account.key},
            "resources": ["secrets"],
        },
        kube_scheduler_config=_fill_gpu_nodes_first(),
        opts=account.guarded(
            depends_on=[*attached, grants, logs, *net.for_cluster],
            ignore_changes=_ignored_changes(account),
            custom_timeouts=CustomTimeouts(create="30m", update="60m", delete="30m"),
        ),
    )
    return EksCluster(eks, node_addons(account, eks), _entries(account, eks))


def _endpoints(account: Account, net: Network) -> Any:  # noqa: ANN401 Pulumi's input
    config = account.config.kubernetes
    cidrs = config.public_access_cidrs
    if cidrs is None:
        cidrs = [caller_cidr()]
    return {
        "subnet_ids": net.control_plane,
        "endpoint_private_access": config.endpoint_private_access,
        "endpoint_public_access": bool(cidrs),
        "public_access_cidrs": cidrs or None,
    }


def _ignored_changes(account: Account) -> list[str]:
    """Return the properties that keep their initial value.

    EKS accepts the creator's permissions only on creation. A detected address belongs
    to the person who created the cluster and must not be replaced by that of another.
    """
    ignored = ["accessConfig.bootstrapClusterCreatorAdminPermissions"]
    if account.config.kubernetes.public_access_cidrs is None:
        ignored.append("vpcConfig.publicAccessCidrs")
    return ignored


def _fill_gpu_nodes_first() -> Any:  # noqa: ANN401 Pulumi's input
    """Schedule pods on the fullest nodes, so that idle GPU nodes can be removed."""
    weights = {"cpu": 1, "memory": 1, "nvidia.com/gpu": 5}
    resources = [{"name": name, "weight": weight} for name, weight in weights.items()]
    strategy = {"type": "MostAllocated", "resources": resources}
    return {"node_resources_fit": {"scoring_strategy": strategy}}


def _entries(account: Account, eks: aws.eks.Cluster) -> list[pulumi.Resource]:
    entries: list[pulumi.Resource] = []
    for arn in account.config.kubernetes.admin_principal_arns:
        # Roles of other accounts or paths may have the same name.
        name = "-".join(["admin", *re.split("[:/]", arn)[4:]])
        entry = aws.eks.AccessEntry(
            name, cluster_name=eks.name, principal_arn=arn, opts=account.options()
        )
        policy = aws.eks.AccessPolicyAssociation(
            name,
            cluster_name=eks.name,
            principal_arn=arn,
            policy_arn=_ADMIN,
            access_scope={"type": "cluster"},
            opts=account.options(depends_on=[entry]),
        )
        entries += [entry, policy]
    return entries


def kubernetes_provider(
    account: Account, cluster: EksCluster, ready: Sequence[pulumi.Resource]
) -> kubernetes.Provider:
    """Create the provider of Kubernetes objects, which are deleted before `ready`."""
    return kubernetes.Provider(
        "eks",
        kubeconfig=kubeconfig(account, cluster.eks),
        cluster_identifier=cluster.eks.arn,
        enable_config_map_mutable=True,  # see infra/kubernetes/program.py
        opts=pulumi.ResourceOptions(depends_on=[cluster.eks, *cluster.entries, *ready]),
    )


def kubeconfig(account: Account, eks: aws.eks.Cluster) -> Output[str]:
    """Return a kubeconfig without a secret; clients request tokens as needed."""
    exec_plugin: dict[str, Any] = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "raylift",
        "args": ["eks-token", "--cluster", eks.name, "--region", account.region],
        "interactiveMode": "Never",
    }
    if account.config.aws.profile:
        exec_plugin["args"] += ["--profile", account.config.aws.profile]
    authority = eks.certificate_authority.data
    server = {"server": eks.endpoint, "certificate-authority-data": authority}
    context = {"cluster": account.stack, "user": account.stack}
    return Output.json_dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": account.stack,
            "clusters": [{"name": account.stack, "cluster": server}],
            "users": [{"name": account.stack, "user": {"exec": exec_plugin}}],
            "contexts": [{"name": account.stack, "context": context}],
        }
    )
