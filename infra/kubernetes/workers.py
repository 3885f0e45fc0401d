"""Pure: node groups and worker groups of a stack file → the Ray workers to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from infra.kubernetes.config import WorkerGroup

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Taint:
    """A taint, as its toleration names it."""

    key: str
    value: str | None = None
    effect: str | None = None


@dataclass(frozen=True, slots=True)
class Pool:
    """Alike nodes, and what one of them gives to pods: CPUs, bytes, GPUs."""

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
class Worker:
    """A group of alike Ray workers, each one pod (or `num_of_hosts` pods)."""

    name: str
    pool: Pool
    num_cpus: float
    memory: int
    num_gpus: int
    min_replicas: int
    max_replicas: int
    num_of_hosts: int = 1
    idle_timeout: int | None = None

    @property
    def share(self) -> int:
        """How many of its pods fit one node, by GPUs, else by CPUs."""
        if self.num_gpus:
            return self.pool.num_gpus // self.num_gpus
        return int(self.pool.num_cpus // self.num_cpus)


def workers_of(
    groups: Sequence[WorkerGroup] | None, pools: Iterable[Pool]
) -> list[Worker]:
    """The workers that a stack file asks for.

    Without worker groups each node group has one, whose pods fill a node each.

    Raises:
        KeyError: a worker group names a node group that is not there.
    """
    by_name = {pool.name: pool for pool in pools}
    if groups is None:
        return [_filling(pool) for pool in by_name.values()]
    return [_asked(group, by_name[group.node_group or group.name]) for group in groups]


def _filling(pool: Pool) -> Worker:
    return Worker(
        name=pool.name,
        pool=pool,
        num_cpus=pool.num_cpus,
        memory=pool.memory,
        num_gpus=pool.num_gpus,
        min_replicas=pool.min_size,
        max_replicas=pool.max_size,
    )


def _asked(group: WorkerGroup, pool: Pool) -> Worker:
    gpus = pool.num_gpus if group.num_gpus is None else group.num_gpus
    part = gpus / pool.num_gpus if gpus and pool.num_gpus else 1.0
    worker = Worker(
        name=group.name,
        pool=pool,
        num_cpus=group.num_cpus or _fitted(pool.num_cpus * part),
        memory=group.memory or int(pool.memory * part) // GIB * GIB or GIB,
        num_gpus=gpus,
        min_replicas=group.min_replicas or 0,
        max_replicas=group.max_replicas or 0,
        num_of_hosts=group.num_of_hosts,
        idle_timeout=group.idle_timeout,
    )
    return _bounded(worker, group)


def _bounded(worker: Worker, group: WorkerGroup) -> Worker:
    """With the bounds that follow from the node group, where none are given."""
    from dataclasses import replace

    pods = max(1, worker.share)
    fits = worker.pool.max_size * pods // worker.num_of_hosts
    starts = worker.pool.min_size * pods // worker.num_of_hosts
    return replace(
        worker,
        min_replicas=starts if group.min_replicas is None else group.min_replicas,
        max_replicas=fits if group.max_replicas is None else group.max_replicas,
    )


def _fitted(cpus: float) -> float:
    """Whole CPUs where there is at least one, as Ray counts them."""
    return float(int(cpus)) if cpus >= 1 else cpus
