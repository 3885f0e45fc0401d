"""Resolution of node groups and worker groups to Ray workers; pure functions."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from raylift.infra.kubernetes.config import NodeGroup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from raylift.infra.kubernetes.config import KubernetesConfig
    from raylift.infra.kubernetes.pod_config import Toleration, TopologySpread
    from raylift.infra.kubernetes.ray_config import WorkerGroup

GIB = 1 << 30
_ANY_NODE = NodeGroup.model_validate({"name": "workers", "minSize": 1})


@dataclass(frozen=True, slots=True)
class Taint:
    """A taint, with the attributes of its toleration."""

    key: str
    value: str | None = None
    effect: str | None = None


@dataclass(frozen=True, slots=True)
class NodeShape:
    """The nodes of a group, and the capacity of each for pods: CPUs, bytes, GPUs."""

    name: str
    num_cpus: float
    memory: int
    num_gpus: int
    min_size: int
    max_size: int
    node_selector: dict[str, str] = field(default_factory=dict)
    tolerations: tuple[Taint, ...] = ()
    runtime_class: str | None = None
    labels: dict[str, str] = field(default_factory=dict)
    resources: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResolvedWorkerGroup:
    """Ray workers of one shape; each is one pod, or `num_of_hosts` pods.

    `pool` is the shape of the nodes that they run on.
    """

    name: str
    pool: NodeShape
    num_cpus: float
    memory: int
    num_gpus: int
    min_replicas: int
    max_replicas: int
    num_of_hosts: int = 1
    idle_timeout: int | None = None
    extra_resources: dict[str, int] = field(default_factory=dict)
    topology_spread: Sequence[TopologySpread] = ()

    @property
    def share(self) -> int:
        """The number of pods that fit on a node, limited by GPUs, otherwise by CPUs."""
        if self.num_gpus:
            return self.pool.num_gpus // self.num_gpus
        return int(self.pool.num_cpus // self.num_cpus)


def workers_of(config: KubernetesConfig) -> list[ResolvedWorkerGroup]:
    """Return the Ray workers of a stack on target `kubernetes`."""
    return resolve(config.ray.worker_groups, node_shapes(config.node_groups))


def node_shapes(groups: Sequence[NodeGroup]) -> list[NodeShape]:
    """Return the shapes of the node groups, or one for every node without any."""
    return [
        NodeShape(
            name=group.name,
            num_cpus=group.num_cpus,
            memory=group.memory,
            num_gpus=group.num_gpus,
            min_size=group.min_size,
            max_size=group.max_size,
            node_selector=group.node_selector,
            tolerations=tuple(map(_taint, group.tolerations)),
            runtime_class=group.runtime_class_name,
            labels=group.labels,
            resources=group.resources,
        )
        for group in groups or [_ANY_NODE]
    ]


def _taint(toleration: Toleration) -> Taint:
    return Taint(toleration.key, toleration.value, toleration.effect)


def resolve(
    groups: Sequence[WorkerGroup] | None, shapes: Iterable[NodeShape]
) -> list[ResolvedWorkerGroup]:
    """Return the workers of a stack file.

    Without worker groups, each node group gets one whose pods fill a node.

    Raises:
        KeyError: A worker group names a node group that does not exist.
    """
    by_name = {shape.name: shape for shape in shapes}
    if groups is None:
        return [_one_per_node(shape) for shape in by_name.values()]
    return [
        _resolved(group, by_name[group.node_group or group.name]) for group in groups
    ]


def _one_per_node(shape: NodeShape) -> ResolvedWorkerGroup:
    return ResolvedWorkerGroup(
        name=shape.name,
        pool=shape,
        num_cpus=shape.num_cpus,
        memory=shape.memory,
        num_gpus=shape.num_gpus,
        min_replicas=shape.min_size,
        max_replicas=shape.max_size,
    )


def _resolved(group: WorkerGroup, shape: NodeShape) -> ResolvedWorkerGroup:
    gpus = shape.num_gpus if group.num_gpus is None else group.num_gpus
    part = gpus / shape.num_gpus if gpus and shape.num_gpus else 1.0
    worker = ResolvedWorkerGroup(
        name=group.name,
        pool=shape,
        num_cpus=group.num_cpus or _whole_cpus(shape.num_cpus * part),
        memory=group.memory or int(shape.memory * part) // GIB * GIB or GIB,
        num_gpus=gpus,
        min_replicas=group.min_replicas or 0,
        max_replicas=group.max_replicas or 0,
        num_of_hosts=group.num_of_hosts,
        idle_timeout=group.idle_timeout,
        extra_resources=group.extra_resources,
        topology_spread=group.topology_spread,
    )
    return _bounded(worker, group)


def _bounded(worker: ResolvedWorkerGroup, group: WorkerGroup) -> ResolvedWorkerGroup:
    """Derive omitted bounds from the size of the node group."""
    pods = max(1, worker.share)
    fits = worker.pool.max_size * pods // worker.num_of_hosts
    starts = worker.pool.min_size * pods // worker.num_of_hosts
    return replace(
        worker,
        min_replicas=starts if group.min_replicas is None else group.min_replicas,
        max_replicas=fits if group.max_replicas is None else group.max_replicas,
    )


def _whole_cpus(cpus: float) -> float:
    """Round down to whole CPUs, as Ray does, but keep fractions below one CPU."""
    return float(int(cpus)) if cpus >= 1 else cpus
