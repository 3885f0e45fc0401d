"""The Helm charts of cluster-wide controllers, and the default storage class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi_kubernetes as kubernetes

from raylift.infra.aws.iam import allow, pod_identity
from raylift.infra.aws.load_balancer_policy import load_balancer_policy
from raylift.infra.kubernetes.gpu import GPU_LABEL, GPU_RESOURCE, NODE_GROUP_LABEL
from raylift.ray_service_client import STACK_LABEL

if TYPE_CHECKING:
    import pulumi
    import pulumi_aws as aws
    from pulumi import ResourceOptions

    from raylift.infra.aws.account import Account
    from raylift.infra.aws.cluster import EksCluster
    from raylift.infra.aws.network import Network

# Chart versions are those that AWS' EKS blueprints used in late 2026.
_AUTOSCALER = (
    "cluster-autoscaler",
    "9.46.6",
    "https://kubernetes.github.io/autoscaler",
)
_LOAD_BALANCERS = (
    "aws-load-balancer-controller",
    "3.6.0",
    "https://aws.github.io/eks-charts",
)
_DEVICE_PLUGIN = (
    "nvidia-device-plugin",
    "0.18.2",
    "https://nvidia.github.io/k8s-device-plugin",
)
_DCGM_EXPORTER = (
    "dcgm-exporter",
    "4.8.1",
    "https://nvidia.github.io/dcgm-exporter/helm-charts",
)
_EFA_PLUGIN = (
    "aws-efa-k8s-device-plugin",
    "0.5.26",
    "https://aws.github.io/eks-charts",
)
STORAGE_CLASS = "gp3"
_SYSTEM = {NODE_GROUP_LABEL: "system"}
_ON_GPU_NODES = [{"key": GPU_RESOURCE, "operator": "Exists"}]


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """Access to the cluster's API once the system nodes exist."""

    account: Account
    cluster: EksCluster
    provider: kubernetes.Provider
    system: aws.eks.NodeGroup

    def options(self, **more: Any) -> ResourceOptions:  # noqa: ANN401 Pulumi's own
        """Return the options of an object in the cluster."""
        from pulumi import ResourceOptions as Options

        return Options(provider=self.provider, **more)


def storage_class(
    access: ClusterAccess, after: list[pulumi.Resource]
) -> pulumi.Resource:
    """Create the default class: encrypted gp3 volumes in the pod's zone.

    EKS has no default storage class.
    """
    return kubernetes.storage.v1.StorageClass(
        "gp3",
        metadata={
            "name": STORAGE_CLASS,
            "labels": {STACK_LABEL: access.account.stack},
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        provisioner="ebs.csi.aws.com",
        parameters={"type": "gp3", "encrypted": "true"},
        reclaim_policy="Delete",
        volume_binding_mode="WaitForFirstConsumer",
        allow_volume_expansion=True,
        opts=access.options(depends_on=after),
    )


def autoscaler(access: ClusterAccess) -> pulumi.Resource:
    """Install the Cluster Autoscaler, which scales node groups from and to 0."""
    account, pods = access.account, ("kube-system", "cluster-autoscaler")
    seconds = account.config.autoscaler.scale_down_unneeded_time
    identity = pod_identity(
        account, "cluster-autoscaler", access.cluster.eks, pods, _scaling(account)
    )
    values = {
        "autoDiscovery": {"clusterName": account.stack},
        "awsRegion": account.region,
        "rbac": {"serviceAccount": {"name": pods[1]}},
        "nodeSelector": _SYSTEM,
        "extraArgs": {
            "balance-similar-node-groups": True,
            "expander": "least-waste",
            "scale-down-unneeded-time": f"{seconds}s",
            "skip-nodes-with-local-storage": False,
        },
    }
    return _release(access, _AUTOSCALER, values, after=[identity])


def _scaling(account: Account) -> list[dict[str, Any]]:
    """Return statements to read everything, and to scale this cluster's groups."""
    reads = [
        "autoscaling:DescribeAutoScalingGroups",
        "autoscaling:DescribeAutoScalingInstances",
        "autoscaling:DescribeLaunchConfigurations",
        "autoscaling:DescribeScalingActivities",
        "autoscaling:DescribeTags",
        "ec2:DescribeImages",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeLaunchTemplateVersions",
        "ec2:GetInstanceTypesFromInstanceRequirements",
    ]
    scales = [
        "autoscaling:SetDesiredCapacity",
        "autoscaling:TerminateInstanceInAutoScalingGroup",
    ]
    tag = f"aws:ResourceTag/k8s.io/cluster-autoscaler/{account.stack}"
    return [
        allow(reads, ["*"]),
        allow(
            ["eks:DescribeNodegroup"], [f"arn:aws:eks:*:*:nodegroup/{account.stack}/*"]
        ),
        allow(scales, ["*"], condition={"StringEquals": {tag: "owned"}}),
    ]


def device_plugin(access: ClusterAccess) -> pulumi.Resource:
    """Install the plugin that advertises GPUs and labels nodes with their features."""
    values = {
        "gfd": {"enabled": True},
        "nodeSelector": {GPU_LABEL: "true"},
        "affinity": None,  # the chart's requires labels that nodeSelector replaces
        "tolerations": _ON_GPU_NODES,
    }
    # Without a GPU node no pod would become ready.
    return _release(access, _DEVICE_PLUGIN, values, skip_await=True)


def dcgm_exporter(access: ClusterAccess) -> pulumi.Resource:
    """Install the exporter of GPU metrics for Prometheus, on port 9400."""
    values = {
        "nodeSelector": {GPU_LABEL: "true"},
        "tolerations": _ON_GPU_NODES,
        # A ServiceMonitor needs the CRDs of the Prometheus Operator.
        "serviceMonitor": {"enabled": False},
    }
    return _release(access, _DCGM_EXPORTER, values, skip_await=True)


def efa_plugin(access: ClusterAccess) -> pulumi.Resource:
    """Install the plugin that advertises EFA interfaces."""
    values = {"tolerations": _ON_GPU_NODES}
    return _release(access, _EFA_PLUGIN, values, skip_await=True)


def load_balancers(access: ClusterAccess, network: Network) -> pulumi.Resource:
    """Install the controller that creates load balancers for Ingresses."""
    pods = ("kube-system", "aws-load-balancer-controller")
    identity = pod_identity(
        access.account,
        "load-balancers",
        access.cluster.eks,
        pods,
        load_balancer_policy(access.account.stack),
    )
    values = {
        "clusterName": access.account.stack,
        "region": access.account.region,
        "vpcId": network.vpc_id,
        "serviceAccount": {"name": pods[1]},
        # The webhook would block every Service until the controller is ready.
        "enableServiceMutatorWebhook": False,
        "nodeSelector": _SYSTEM,
    }
    return _release(access, _LOAD_BALANCERS, values, after=[identity])


def _release(
    access: ClusterAccess,
    chart: tuple[str, str, str],
    values: dict[str, Any],
    *,
    after: list[pulumi.Resource] | None = None,
    skip_await: bool = False,
) -> kubernetes.helm.v3.Release:
    name, version, repository = chart
    return kubernetes.helm.v3.Release(
        name,
        name=name,
        chart=name,
        version=version,
        repository_opts={"repo": repository},
        namespace="kube-system",
        values=values,
        atomic=not skip_await,
        cleanup_on_fail=True,
        skip_await=skip_await,
        timeout=600,
        opts=access.options(depends_on=[access.system, *(after or [])]),
    )
