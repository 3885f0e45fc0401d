"""The nodes that Ray's autoscaler can add, based on worker groups; pure functions."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from raylift.serve_runtime.ray_api.dashboard import RayNode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_GPU = "nvidia.com/gpu"
_GROUP = "ray.io/node-group"  # a label that KubeRay sets on Ray nodes


def potential_nodes(cluster: dict[str, Any], nodes: Iterable[RayNode]) -> list[RayNode]:
    """Return a RayNode for each node that a worker group can still add."""
    live = Counter(node.labels.get(_GROUP) for node in nodes if node.alive)
    return [
        RayNode(name, False, True, dict(_resources(group)), {_GROUP: name})  # noqa: FBT003
        for group in cluster["spec"].get("workerGroupSpecs") or []
        for name in [group["groupName"]]
        for _ in range(group.get("maxReplicas", 1) - live[name])
    ]


def _resources(group: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield resources as KubeRay passes them to Ray.

    Limits take precedence over requests, and `rayStartParams` over both.
    """
    container = group["template"]["spec"]["containers"][0]
    sizes = container.get("resources") or {}
    size = {**(sizes.get("requests") or {}), **(sizes.get("limits") or {})}
    for ray_name, name in (("CPU", "cpu"), ("GPU", _GPU), ("memory", "memory")):
        if name in size:
            yield ray_name, _amount(size[name])
    start = group.get("rayStartParams") or {}
    for ray_name, name in (
        ("CPU", "num-cpus"),
        ("GPU", "num-gpus"),
        ("memory", "memory"),
    ):
        if name in start:
            yield ray_name, float(start[name])
    for name, value in (group.get("resources") or {}).items():
        yield name, _amount(value)


def _amount(quantity: object) -> float:
    """Return a Kubernetes quantity, such as `500m` or `16Gi`, as a number."""
    from lightkube.utils.quantity import parse_quantity

    return float(parse_quantity(str(quantity)) or 0)
