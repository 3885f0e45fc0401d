"""EKS managed node groups: the system's, and those for Ray workers."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi_aws as aws
from pulumi import CustomTimeouts

from infra.aws.account import zones_offering
from infra.aws.identity import role
from infra.aws.instance_types import instance_types
from infra.kubernetes.gpu import (
    ACCELERATOR_LABEL,
    GPU_LABEL,
    GPU_TAINT,
    NODE_GROUP_LABEL,
    TAINT_VALUE,
)
from raylift.errors import InputFailed

if TYPE_CHECKING:
    import pulumi

    from infra.aws.account import Account
    from infra.aws.cluster import Cluster
    from infra.aws.config import NodeGroup
    from infra.aws.network import Network

_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
_EFFECTS = {
    "NoSchedule": "NO_SCHEDULE",
    "PreferNoSchedule": "PREFER_NO_SCHEDULE",
    "NoExecute": "NO_EXECUTE",
}
_SYSTEM_DISK_GIB = 50
# nodeadm's own format: https://awslabs.github.io/amazon-eks-ami/nodeadm
_LOCAL_DISKS = """\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="//"

--//
Content-Type: application/node.eks.aws

apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  instance:
    localStorage:
      strategy: RAID0
--//--
"""


@dataclass(frozen=True, slots=True)
class Ground:
    """What node groups stand on: the cluster, its network, the nodes' role.

    `before` must be there before any node and outlives all of them.
    """

    here: Account
    cluster: Cluster
    network: Network
    role: aws.iam.Role
    before: list[pulumi.Resource]


def ground(here: Account, cluster: Cluster, network: Network) -> Ground:
    """The role that nodes have. Pods get roles of their own."""
    nodes, attached = role(here, "node", "ec2.amazonaws.com", _POLICIES)
    before = [*attached, *cluster.for_nodes, *network.for_nodes]
    return Ground(here, cluster, network, nodes, before)


def system_group(on: Ground) -> aws.eks.NodeGroup:
    """CPU nodes in every zone for the Ray head, the operator and add-ons."""
    wanted = on.here.config.system_node_group
    arm = instance_types()[wanted.instance_types[0]].arch == "arm64"
    disk = _volume(_SYSTEM_DISK_GIB, 125, 3000)
    template = _template(on, "system", {"block_device_mappings": [disk]})
    return aws.eks.NodeGroup(
        "system",
        cluster_name=on.cluster.eks.name,
        node_group_name_prefix="system-",
        node_role_arn=on.role.arn,
        subnet_ids=list(on.network.private.values()),
        ami_type=f"AL2023_{'ARM_64' if arm else 'x86_64'}_STANDARD",
        instance_types=wanted.instance_types,
        launch_template=_used(template),
        labels={NODE_GROUP_LABEL: "system"},
        scaling_config=_sizes(wanted.min_size, wanted.max_size, wanted.min_size),
        update_config={"max_unavailable": 1},
        node_repair_config={"enabled": True},
        opts=_options(on, on.before),
    )


def worker_group(
    on: Ground, group: NodeGroup, system: aws.eks.NodeGroup
) -> aws.eks.NodeGroup:
    """Nodes for Ray workers.

    They are made after the system's, and removed before it: operators and controllers
    run there.
    """
    block = group.capacity_type == "CAPACITY_BLOCK"
    return aws.eks.NodeGroup(
        group.name,
        cluster_name=on.cluster.eks.name,
        node_group_name_prefix=f"{group.name}-",
        node_role_arn=on.role.arn,
        subnet_ids=_subnets(on, group),
        ami_type=group.ami_type or _ami_type(group),
        capacity_type=group.capacity_type,
        # A capacity block's one type stands in the launch template.
        instance_types=None if block else group.instance_types,
        launch_template=_used(_worker_template(on, group)),
        labels=_labels(group),
        taints=_taints(group),
        scaling_config=_sizes(group.min_size, group.max_size, group.desired_size),
        update_config=_update(group),
        node_repair_config={"enabled": group.node_repair},
        warm_pool_config=_warm_pool(group),
        opts=_options(on, [*on.before, system]),
    )


def _options(on: Ground, after: list[pulumi.Resource]) -> Any:  # noqa: ANN401 Pulumi's options
    return on.here.options(
        depends_on=after,
        # The autoscaler's, after the first time.
        ignore_changes=["scalingConfig.desiredSize"],
        custom_timeouts=CustomTimeouts(create="40m", update="60m", delete="40m"),
    )


def _subnets(on: Ground, group: NodeGroup) -> list[Any]:
    """Subnets of the zones that the group names, or that offer its types.

    Raises:
        InputFailed: the group names a zone without a subnet.
    """
    private = on.network.private
    for zone in group.availability_zones or ():
        if zone not in private:
            raise InputFailed.at(
                f"node group '{group.name}'",
                f"availabilityZones: no subnet in {zone}",
                hint=f"there are subnets in {', '.join(private)}",
            )
    zones = group.availability_zones or zones_offering(on.here, group)
    return [private[zone] for zone in private if zone in zones] or [*private.values()]


def _sizes(smallest: int, largest: int, desired: int | None) -> Any:  # noqa: ANN401 Pulumi's input
    start = smallest if desired is None else desired
    return {"min_size": smallest, "max_size": largest, "desired_size": start}


def _update(group: NodeGroup) -> Any:  # noqa: ANN401 Pulumi's input
    """MINIMAL ends a node before another is there: no GPU more is needed for it."""
    return {"max_unavailable": 1, "update_strategy": group.update_strategy}


def _warm_pool(group: NodeGroup) -> Any:  # noqa: ANN401 Pulumi's input
    if group.warm_pool is None:
        return None
    return {
        "min_size": group.warm_pool.min_size,
        "max_group_prepared_capacity": group.warm_pool.max_prepared_capacity,
        "pool_state": group.warm_pool.pool_state,
        "reuse_on_scale_in": group.warm_pool.reuse_on_scale_in,
    }


def _ami_type(group: NodeGroup) -> str:
    arm = group.types()[0].arch == "arm64"
    kind = "NVIDIA" if group.has_gpus else "STANDARD"
    return f"AL2023_{'ARM_64' if arm else 'x86_64'}_{kind}"


def _labels(group: NodeGroup) -> dict[str, str]:
    labels = {**group.labels, NODE_GROUP_LABEL: group.name}
    if group.has_gpus:
        model = group.types()[0].gpu.lower().replace(" ", "-")
        labels |= {GPU_LABEL: "true", ACCELERATOR_LABEL: f"nvidia-{model}"}
    return labels


def _taints(group: NodeGroup) -> Any:  # noqa: ANN401 Pulumi's input
    """GPU nodes are for pods that ask for a GPU, unless the file says otherwise."""
    if group.taints is not None:
        return [
            {"key": t.key, "value": t.value, "effect": _EFFECTS[t.effect]}
            for t in group.taints
        ]
    if not group.has_gpus:
        return None
    return [{"key": GPU_TAINT, "value": TAINT_VALUE, "effect": "NO_SCHEDULE"}]


def _worker_template(on: Ground, group: NodeGroup) -> aws.ec2.LaunchTemplate:
    disk = group.disk
    root = _volume(disk.size_gib, disk.throughput_mibps, disk.iops, disk.snapshot_id)
    settings: dict[str, Any] = {"block_device_mappings": [root]}
    if _has_local_disks(group):
        settings["user_data"] = base64.b64encode(_LOCAL_DISKS.encode()).decode()
    if group.capacity_reservation_id:
        target = {"capacity_reservation_id": group.capacity_reservation_id}
        settings["capacity_reservation_specification"] = {
            "capacity_reservation_target": target
        }
    if group.capacity_type == "CAPACITY_BLOCK":
        settings["instance_type"] = group.instance_types[0]
        settings["instance_market_options"] = {"market_type": "capacity-block"}
    if group.efa:
        settings["network_interfaces"] = _efa_interfaces(on, group)
    if group.placement_group or group.efa:
        settings["placement"] = {"group_name": _placement_group(on, group).name}
    return _template(on, group.name, settings)


def _has_local_disks(group: NodeGroup) -> bool:
    """Bottlerocket has no nodeadm."""
    is_amazon_linux = (group.ami_type or "AL2023").startswith("AL2023")
    wanted = group.instance_store == "raid0" and is_amazon_linux
    return wanted and all(found.nvme_gb for found in group.types())


def _template(
    on: Ground, name: str, settings: dict[str, Any]
) -> aws.ec2.LaunchTemplate:
    """Instances whose credentials only the node itself gets (IMDSv2, one hop)."""
    tags = on.here.tags(Name=f"{on.here.stack}-{name}")
    kinds = ("instance", "volume", "network-interface")
    return aws.ec2.LaunchTemplate(
        f"{name}-template",
        metadata_options={
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": 1,
        },
        tag_specifications=[{"resource_type": kind, "tags": tags} for kind in kinds],
        update_default_version=True,
        opts=on.here.options(),
        **settings,
    )


def _used(template: aws.ec2.LaunchTemplate) -> Any:  # noqa: ANN401 Pulumi's input
    version = template.latest_version.apply(lambda number: str(int(number)))
    return {"id": template.id, "version": version}


def _volume(
    size: int, throughput: int, iops: int, snapshot: str | None = None
) -> dict[str, Any]:
    return {
        "device_name": "/dev/xvda",
        "ebs": {
            "volume_size": size,
            "volume_type": "gp3",
            "throughput": throughput,
            "iops": iops,
            "encrypted": "true",
            "delete_on_termination": "true",
            "snapshot_id": snapshot,
        },
    }


def _placement_group(on: Ground, group: NodeGroup) -> aws.ec2.PlacementGroup:
    return aws.ec2.PlacementGroup(
        f"{group.name}-placement", strategy="cluster", opts=on.here.options()
    )


def _efa_interfaces(on: Ground, group: NodeGroup) -> list[dict[str, Any]]:
    """One interface for each network card; the first one carries IP as well."""
    own = _efa_group(on, group)
    return [
        {
            "network_card_index": card,
            "device_index": 0 if card == 0 else 1,
            "interface_type": "efa" if card == 0 else "efa-only",
            "security_groups": [own.id, on.cluster.security_group],
            "delete_on_termination": "true",
        }
        for card in range(min(found.efa for found in group.types()))
    ]


def _efa_group(on: Ground, group: NodeGroup) -> aws.ec2.SecurityGroup:
    """EFA asks for a group that lets its own members do everything."""
    made = aws.ec2.SecurityGroup(
        f"{group.name}-efa",
        vpc_id=on.network.vpc_id,
        description="EFA between nodes of one group",
        opts=on.here.options(),
    )
    among: Any = {
        "security_group_id": made.id,
        "referenced_security_group_id": made.id,
        "ip_protocol": "-1",
        "description": "EFA between nodes of one group",
    }
    name, opts = f"{group.name}-efa", on.here.options()
    aws.vpc.SecurityGroupIngressRule(f"{name}-in", **among, opts=opts)
    aws.vpc.SecurityGroupEgressRule(f"{name}-out", **among, opts=opts)
    return made
