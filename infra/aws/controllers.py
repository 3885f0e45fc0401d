"""What runs in the cluster for the cluster: add-ons after first nodes, and charts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi_kubernetes as kubernetes

from infra.aws.cluster import addon
from infra.aws.identity import PODS, allow, pod_identity, role
from infra.aws.load_balancer_policy import LOAD_BALANCERS
from infra.kubernetes.gpu import GPU_LABEL, GPU_RESOURCE, NODE_GROUP_LABEL
from raylift.ray_service import STACK_LABEL

if TYPE_CHECKING:
    import pulumi
    import pulumi_aws as aws
    from pulumi import ResourceOptions

    from infra.aws.account import Account
    from infra.aws.cluster import Cluster
    from infra.aws.network import Network

# Charts and the versions that the notes of AWS' own blueprints use in late 2026.
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
class Inside:
    """The cluster seen from inside, once system nodes are there."""

    here: Account
    cluster: Cluster
    provider: kubernetes.Provider
    system: aws.eks.NodeGroup

    def options(self, **more: Any) -> ResourceOptions:  # noqa: ANN401 Pulumi's own
        """Options of an object in the cluster."""
        from pulumi import ResourceOptions as Options

        return Options(provider=self.provider, **more)


def addons(
    here: Account, made: Cluster, system: aws.eks.NodeGroup
) -> list[pulumi.Resource]:
    """Add-ons whose pods need a node to be ready."""
    names = ["coredns", "metrics-server"]
    if any(group.node_repair for group in here.config.node_groups):
        names.append("eks-node-monitoring-agent")
    plain: list[pulumi.Resource] = [
        addon(here, made.eks, name, after=[system]) for name in names
    ]
    return [*plain, _disks(here, made, system)]


def _disks(here: Account, made: Cluster, system: aws.eks.NodeGroup) -> pulumi.Resource:
    """Volumes for claims, such as the one for the head's state."""
    driver, attached = role(
        here, "ebs-csi", PODS, ["service-role/AmazonEBSCSIDriverPolicy"]
    )
    identity = {"role_arn": driver.arn, "service_account": "ebs-csi-controller-sa"}
    return addon(
        here,
        made.eks,
        "aws-ebs-csi-driver",
        after=[system, *attached],
        pod_identity_associations=[identity],
    )


def storage_class(inside: Inside, after: list[pulumi.Resource]) -> pulumi.Resource:
    """Encrypted gp3 volumes, made where the pod runs; EKS has no default of its own."""
    return kubernetes.storage.v1.StorageClass(
        "gp3",
        metadata={
            "name": STORAGE_CLASS,
            "labels": {STACK_LABEL: inside.here.stack},
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        provisioner="ebs.csi.aws.com",
        parameters={"type": "gp3", "encrypted": "true"},
        reclaim_policy="Delete",
        volume_binding_mode="WaitForFirstConsumer",
        allow_volume_expansion=True,
        opts=inside.options(depends_on=after),
    )


def autoscaler(inside: Inside) -> pulumi.Resource:
    """The Cluster Autoscaler: it adds nodes for pods that wait, from zero on."""
    here, account = inside.here, ("kube-system", "cluster-autoscaler")
    seconds = here.config.autoscaler.scale_down_unneeded_time
    identity = pod_identity(
        here, "cluster-autoscaler", inside.cluster.eks, account, _scaling(here)
    )
    values = {
        "autoDiscovery": {"clusterName": here.stack},
        "awsRegion": here.region,
        "rbac": {"serviceAccount": {"name": account[1]}},
        "nodeSelector": _SYSTEM,
        "extraArgs": {
            "balance-similar-node-groups": True,
            "expander": "least-waste",
            "scale-down-unneeded-time": f"{seconds}s",
            "skip-nodes-with-local-storage": False,
        },
    }
    return _release(inside, _AUTOSCALER, values, after=[identity])


def _scaling(here: Account) -> list[dict[str, Any]]:
    """It may look at everything, and change the groups of this cluster only."""
    looks = [
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
    changes = [
        "autoscaling:SetDesiredCapacity",
        "autoscaling:TerminateInstanceInAutoScalingGroup",
    ]
    tag = f"aws:ResourceTag/k8s.io/cluster-autoscaler/{here.stack}"
    return [
        allow(looks, ["*"]),
        allow(["eks:DescribeNodegroup"], [f"arn:aws:eks:*:*:nodegroup/{here.stack}/*"]),
        allow(changes, ["*"], condition={"StringEquals": {tag: "owned"}}),
    ]


def device_plugin(inside: Inside) -> pulumi.Resource:
    """Makes GPUs known to Kubernetes, and labels nodes with what they have."""
    values = {
        "gfd": {"enabled": True},
        "nodeSelector": {GPU_LABEL: "true"},
        "affinity": None,  # the chart's looks for labels that the line above replaces
        "tolerations": _ON_GPU_NODES,
    }
    # Without a GPU node there is nothing that it could wait for.
    return _release(inside, _DEVICE_PLUGIN, values, skip_await=True)


def dcgm_exporter(inside: Inside) -> pulumi.Resource:
    """How busy, hot and healthy GPUs are, for whose Prometheus asks port 9400."""
    values = {
        "nodeSelector": {GPU_LABEL: "true"},
        "tolerations": _ON_GPU_NODES,
        # The chart's own is of a kind that only a Prometheus operator brings.
        "serviceMonitor": {"enabled": False},
    }
    return _release(inside, _DCGM_EXPORTER, values, skip_await=True)


def efa_plugin(inside: Inside) -> pulumi.Resource:
    """Makes EFA interfaces known to Kubernetes."""
    values = {"tolerations": _ON_GPU_NODES}
    return _release(inside, _EFA_PLUGIN, values, skip_await=True)


def load_balancers(inside: Inside, network: Network) -> pulumi.Resource:
    """The controller that makes load balancers of Ingresses."""
    account = ("kube-system", "aws-load-balancer-controller")
    identity = pod_identity(
        inside.here, "load-balancers", inside.cluster.eks, account, LOAD_BALANCERS
    )
    values = {
        "clusterName": inside.here.stack,
        "region": inside.here.region,
        "vpcId": network.vpc_id,
        "serviceAccount": {"name": account[1]},
        # It would hold up every Service while the controller is not ready.
        "enableServiceMutatorWebhook": False,
        "nodeSelector": _SYSTEM,
    }
    return _release(inside, _LOAD_BALANCERS, values, after=[identity])


def _release(
    inside: Inside,
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
        opts=inside.options(depends_on=[inside.system, *(after or [])]),
    )
