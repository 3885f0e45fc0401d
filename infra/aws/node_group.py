"""EKS managed node groups: the system node group and those of Ray workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi_aws as aws
from pulumi import CustomTimeouts

from raylift.errors import InvalidInput
from raylift.infra.aws.account import zones_offering
from raylift.infra.aws.iam import role
from raylift.infra.aws.instance_types import instance_types
from raylift.infra.aws.launch_template import system_template, worker_template
from raylift.infra.kubernetes.gpu import (
    ACCELERATOR_LABEL,
    GPU_LABEL,
    GPU_TAINT,
    NODE_GROUP_LABEL,
    TAINT_VALUE,
)

if TYPE_CHECKING:
    import pulumi

    from raylift.infra.aws.account import Account
    from raylift.infra.aws.cluster import EksCluster
    from raylift.infra.aws.network import Network
    from raylift.infra.aws.node_group_config import NodeGroup

_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly")
_EFFECTS = {
    "NoSchedule": "NO_SCHEDULE",
    "PreferNoSchedule": "PREFER_NO_SCHEDULE",
    "NoExecute": "NO_EXECUTE",
}


@dataclass(frozen=True, slots=True)
class Foundation:
    """The resources that node groups share: cluster, network and IAM role.

    The resources in `before` are created before any node and deleted after the last.
    """

    account: Account
    cluster: EksCluster
    network: Network
    role: aws.iam.Role
    before: list[pulumi.Resource]


def foundation(account: Account, cluster: EksCluster, network: Network) -> Foundation:
    """Create the IAM role of the nodes; pods use separate roles."""
    nodes, attached = role(account, "node", "ec2.amazonaws.com", _POLICIES)
    before = [*attached, *cluster.for_nodes, *network.for_nodes]
    return Foundation(account, cluster, network, nodes, before)


def system_group(nodes: Foundation) -> aws.eks.NodeGroup:
    """Create CPU nodes in every zone for the Ray head, the operator and add-ons."""
    config = nodes.account.config.system_node_group
    arm = instance_types()[config.instance_types[0]].arch == "arm64"
    return aws.eks.NodeGroup(
        "system",
        cluster_name=nodes.cluster.eks.name,
        node_group_name_prefix="system-",
        node_role_arn=nodes.role.arn,
        subnet_ids=list(nodes.network.private.values()),
        ami_type=f"AL2023_{'ARM_64' if arm else 'x86_64'}_STANDARD",
        instance_types=config.instance_types,
        launch_template=_latest(system_template(nodes.account)),
        labels={NODE_GROUP_LABEL: "system"},
        scaling_config=_sizes(config.min_size, config.max_size, config.min_size),
        update_config={"max_unavailable": 1},
        node_repair_config={"enabled": True},
        opts=_options(nodes, nodes.before),
    )


def worker_group(
    nodes: Foundation, group: NodeGroup, system: aws.eks.NodeGroup
) -> aws.eks.NodeGroup:
    """Create nodes for Ray workers.

    They are created after the system node group and deleted before it, because
    operators and controllers run there.
    """
    template = worker_template(nodes.account, nodes.cluster, nodes.network, group)
    block = group.capacity_type == "CAPACITY_BLOCK"
    return aws.eks.NodeGroup(
        group.name,
        cluster_name=nodes.cluster.eks.name,
        node_group_name_prefix=f"{group.name}-",
        node_role_arn=nodes.role.arn,
        subnet_ids=_subnets(nodes, group),
        ami_type=group.ami_type or _ami_type(group),
        capacity_type=group.capacity_type,
        # For a capacity block, the launch template names the instance type.
        instance_types=None if block else group.instance_types,
        launch_template=_latest(template),
        labels=_labels(group),
        taints=_taints(group),
        scaling_config=_sizes(group.min_size, group.max_size, group.desired_size),
        update_config=_update(group),
        node_repair_config={"enabled": group.node_repair},
        warm_pool_config=_warm_pool(group),
        opts=_options(nodes, [*nodes.before, system]),
    )


def _options(nodes: Foundation, after: list[pulumi.Resource]) -> Any:  # noqa: ANN401 Pulumi's options
    return nodes.account.options(
        depends_on=after,
        # After creation, the autoscaler sets the size.
        ignore_changes=["scalingConfig.desiredSize"],
        custom_timeouts=CustomTimeouts(create="40m", update="60m", delete="40m"),
    )


def _subnets(nodes: Foundation, group: NodeGroup) -> list[Any]:
    """Return the subnets in the zones of a group, or in the zones that offer its types.

    Raises:
        InvalidInput: The group names a zone without a subnet.
    """
    private = nodes.network.private
    for zone in group.availability_zones or ():
        if zone not in private:
            raise InvalidInput.at(
                f"node group '{group.name}'",
                f"availabilityZones: no subnet in {zone}",
                hint=f"use a zone with a subnet: {', '.join(private)}",
            )
    zones = group.availability_zones or zones_offering(nodes.account, group)
    return [private[zone] for zone in private if zone in zones] or [*private.values()]


def _sizes(smallest: int, largest: int, desired: int | None) -> Any:  # noqa: ANN401 Pulumi's input
    initial = smallest if desired is None else desired
    return {"min_size": smallest, "max_size": largest, "desired_size": initial}


def _latest(template: aws.ec2.LaunchTemplate) -> Any:  # noqa: ANN401 Pulumi's input
    version = template.latest_version.apply(lambda number: str(int(number)))
    return {"id": template.id, "version": version}


def _update(group: NodeGroup) -> Any:  # noqa: ANN401 Pulumi's input
    """Return the update settings.

    MINIMAL terminates a node before it starts another, so it requires no spare GPU.
    """
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
    """Return the taints of a group; by default, GPU nodes only accept GPU pods."""
    if group.taints is not None:
        return [
            {"key": t.key, "value": t.value, "effect": _EFFECTS[t.effect]}
            for t in group.taints
        ]
    if not group.has_gpus:
        return None
    return [{"key": GPU_TAINT, "value": TAINT_VALUE, "effect": "NO_SCHEDULE"}]
