"""Checks that Ray workers fit the node groups on which they run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raylift.infra.config.checks import Finding
from raylift.infra.kubernetes.validators import version_of_image
from raylift.infra.kubernetes.worker_groups import GIB, resolve
from raylift.messages import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raylift.infra.kubernetes.ray_config import Ray, WorkerGroup
    from raylift.infra.kubernetes.worker_groups import NodeShape, ResolvedWorkerGroup
    from raylift.key_path import KeyPath

_GPU_TAG = re.compile(r"-(gpu|cu\d+)")


def check_fit(ray: Ray, shapes: Sequence[NodeShape]) -> Iterator[Finding]:
    """Check that each worker group fits a node group of the stack."""
    if any(shape.max_size < max(1, shape.min_size) for shape in shapes):
        return  # an error of the node group
    groups = ray.worker_groups
    unknown = list(_check_references(groups or [], [shape.name for shape in shapes]))
    yield from unknown
    if unknown:
        return
    workers = resolve(groups, shapes)
    for index, (group, worker) in enumerate(zip(groups or [], workers, strict=False)):
        yield from _check_worker(("ray", "workerGroups", index), group, worker)
    if any(worker.num_gpus for worker in workers):
        yield from _check_cuda(ray)


def _check_references(
    groups: Sequence[WorkerGroup], names: list[str]
) -> Iterator[Finding]:
    for index, group in enumerate(groups):
        name = group.node_group or group.name
        if name not in names:
            key = "nodeGroup" if group.node_group else "name"
            exist = f"available: {', '.join(names)}"
            text = f"node group '{name}' not found{did_you_mean(name, names)}; {exist}"
            yield Finding(("ray", "workerGroups", index, key), text)


def _check_worker(
    path: KeyPath, group: WorkerGroup, worker: ResolvedWorkerGroup
) -> Iterator[Finding]:
    shape = worker.pool
    if worker.min_replicas > worker.max_replicas:
        text = f"must be at most maxReplicas {worker.max_replicas}"
        yield Finding((*path, "minReplicas"), f"{text}, not {worker.min_replicas}")
    if worker.num_gpus > shape.num_gpus:
        most = f"must be at most {shape.num_gpus}, the number of GPUs per node"
        text = f"{most} in '{shape.name}', not {worker.num_gpus}"
        yield Finding((*path, "numGpus"), text)
        return
    offer = (
        f"the allocatable amount on a node of '{shape.name}';"
        " omit the key to use the default"
    )
    if group.num_cpus and group.num_cpus > shape.num_cpus:
        text = f"must be at most {shape.num_cpus:g}, {offer}"
        yield Finding((*path, "numCpus"), text)
    if group.memory and group.memory > shape.memory:
        text = f"must be at most {shape.memory // GIB}Gi, {offer}"
        yield Finding((*path, "memory"), text)
    yield from _check_idle_gpus(path, worker)
    yield from _check_node_count(path, worker)


def _check_idle_gpus(path: KeyPath, worker: ResolvedWorkerGroup) -> Iterator[Finding]:
    gpus = worker.pool.num_gpus
    if worker.num_gpus and gpus % worker.num_gpus:
        text = f"leaves {gpus % worker.num_gpus} of {gpus} GPUs idle on each node"
        yield Finding((*path, "numGpus"), text, is_warning=True)


def _check_node_count(path: KeyPath, worker: ResolvedWorkerGroup) -> Iterator[Finding]:
    shape = worker.pool
    nodes = _nodes(worker, worker.max_replicas)
    if nodes > shape.max_size:
        each = f" of {worker.num_of_hosts} pods each" * (worker.num_of_hosts > 1)
        text = (
            f"{worker.max_replicas} replicas{each} need {nodes} nodes,"
            f" but '{shape.name}' has at most {shape.max_size}"
        )
        yield Finding((*path, "maxReplicas"), text, is_warning=True)
    first = _nodes(worker, worker.min_replicas)
    if first > shape.min_size:
        text = (
            f"needs {first} nodes from the start, but '{shape.name}' starts with"
            f" {shape.min_size}, so the cluster must scale up first"
        )
        yield Finding((*path, "minReplicas"), text, is_warning=True)


def _nodes(worker: ResolvedWorkerGroup, replicas: int) -> int:
    """Return the number of nodes that workers fill, rounded up."""
    return -(-replicas * worker.num_of_hosts // max(1, worker.share))


def _check_cuda(ray: Ray) -> Iterator[Finding]:
    tagged = ray.image is not None and version_of_image(ray.image)
    if tagged and not _GPU_TAG.search(ray.image or ""):
        text = "has no -gpu or -cuNNN in its tag, but workers request GPUs"
        yield Finding(("ray", "image"), text, is_warning=True)
