"""EKS add-ons: those that every node needs, and those whose pods need a node."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pulumi_aws as aws

from raylift.infra.aws.iam import PODS, role

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pulumi

    from raylift.infra.aws.account import Account

_CNI = {
    "enableNetworkPolicy": "true",
    # Addresses are assigned by /28: more pods fit on a node, and they start faster.
    "env": {"ENABLE_PREFIX_DELEGATION": "true", "WARM_PREFIX_TARGET": "1"},
}


def node_addons(account: Account, eks: aws.eks.Cluster) -> list[pulumi.Resource]:
    """Create the add-ons that every node needs; they outlive the last node."""
    cni_role, attached = role(account, "vpc-cni", PODS, ["AmazonEKS_CNI_Policy"])
    identity = {"role_arn": cni_role.arn, "service_account": "aws-node"}
    return [
        _addon(account, eks, "kube-proxy"),
        _addon(account, eks, "eks-pod-identity-agent"),
        _addon(
            account,
            eks,
            "vpc-cni",
            after=attached,
            configuration_values=json.dumps(_CNI),
            pod_identity_associations=[identity],
            preserve=True,
        ),
    ]


def scheduled_addons(
    account: Account, eks: aws.eks.Cluster, system: aws.eks.NodeGroup
) -> list[pulumi.Resource]:
    """Create the add-ons that become active only when their pods are scheduled."""
    names = ["coredns", "metrics-server"]
    if any(group.node_repair for group in account.config.node_groups):
        names.append("eks-node-monitoring-agent")
    without_role: list[pulumi.Resource] = [
        _addon(account, eks, name, after=[system]) for name in names
    ]
    return [*without_role, _disks(account, eks, system)]


def _disks(
    account: Account, eks: aws.eks.Cluster, system: aws.eks.NodeGroup
) -> pulumi.Resource:
    """Create the driver for EBS volumes, such as the volume for the head's state."""
    driver, attached = role(
        account, "ebs-csi", PODS, ["service-role/AmazonEBSCSIDriverPolicy"]
    )
    identity = {"role_arn": driver.arn, "service_account": "ebs-csi-controller-sa"}
    return _addon(
        account,
        eks,
        "aws-ebs-csi-driver",
        after=[system, *attached],
        pod_identity_associations=[identity],
    )


def _addon(
    account: Account,
    eks: aws.eks.Cluster,
    name: str,
    *,
    after: Sequence[pulumi.Resource] = (),
    **more: Any,  # noqa: ANN401 arguments of Addon
) -> aws.eks.Addon:
    """Create an add-on in the version that EKS selects for the cluster."""
    return aws.eks.Addon(
        name,
        cluster_name=eks.name,
        addon_name=name,
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        opts=account.options(depends_on=list(after)),
        **more,
    )
