"""The capacity for pods of node groups on AWS; pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylift.infra.kubernetes.gpu import GPU_TAINT, NODE_GROUP_LABEL, TAINT_VALUE
from raylift.infra.kubernetes.worker_groups import (
    NodeShape,
    ResolvedWorkerGroup,
    Taint,
    resolve,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raylift.infra.aws.config import AwsConfig
    from raylift.infra.aws.node_group_config import NodeGroup, SystemNodeGroup


def workers_of(config: AwsConfig) -> list[ResolvedWorkerGroup]:
    """Return the Ray workers of a stack on target `aws`."""
    shapes = node_shapes(config.node_groups, config.system_node_group)
    return resolve(config.ray.worker_groups, shapes)


def node_shapes(
    groups: Sequence[NodeGroup], system: SystemNodeGroup
) -> list[NodeShape]:
    """Return the shapes of the node groups, or that of system nodes without any."""
    return [_shape(group) for group in groups] or [_system_shape(system)]


def _shape(group: NodeGroup) -> NodeShape:
    """Return the capacity for pods of the smallest type of a group."""
    types = group.types()
    return NodeShape(
        name=group.name,
        num_cpus=float(min(found.pod_cpus for found in types)),
        memory=min(found.pod_memory for found in types),
        num_gpus=min(found.gpus for found in types),
        min_size=group.min_size,
        max_size=group.max_size,
        node_selector={NODE_GROUP_LABEL: group.name},
        tolerations=_tolerations(group),
        labels=group.labels,
        resources=group.resources,
    )


def _tolerations(group: NodeGroup) -> tuple[Taint, ...]:
    if group.taints is not None:
        return tuple(Taint(t.key, t.value, t.effect) for t in group.taints)
    return (Taint(GPU_TAINT, TAINT_VALUE, "NoSchedule"),) if group.has_gpus else ()


def _system_shape(system: SystemNodeGroup) -> NodeShape:
    """Return the capacity of a system node that is left for Ray workers."""
    return NodeShape(
        name="system",
        num_cpus=1.0,
        memory=2 << 30,
        num_gpus=0,
        min_size=1,
        max_size=system.max_size,
        node_selector={NODE_GROUP_LABEL: "system"},
    )
