"""Pure: nodes that Ray's autoscaler may bring, from a RayCluster's worker groups."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from serve_runtime.dashboard import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_GPU = "nvidia.com/gpu"
_GROUP = "ray.io/node-group"  # by KubeRay, a label of a Ray node


def could_join(cluster: dict[str, Any], there: Iterable[Node]) -> list[Node]:
    """The nodes that may still come, each as Ray would know it."""
    has = Counter(node.labels.get(_GROUP) for node in there if node.alive)
    return [
        Node(name, False, True, dict(_resources(group)), {_GROUP: name})  # noqa: FBT003
        for group in cluster["spec"].get("workerGroupSpecs") or []
        for name in [group["groupName"]]
        for _ in range(group.get("maxReplicas", 1) - has[name])
    ]


def _resources(group: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """As KubeRay tells Ray: limits before requests, and what a group says of itself."""
    container = group["template"]["spec"]["containers"][0]
    sizes = container.get("resources") or {}
    size = {**(sizes.get("requests") or {}), **(sizes.get("limits") or {})}
    for ours, theirs in (("CPU", "cpu"), ("GPU", _GPU), ("memory", "memory")):
        if theirs in size:
            yield ours, _amount(size[theirs])
    start = group.get("rayStartParams") or {}
    for ours, theirs in (
        ("CPU", "num-cpus"),
        ("GPU", "num-gpus"),
        ("memory", "memory"),
    ):
        if theirs in start:
            yield ours, float(start[theirs])
    for name, value in (group.get("resources") or {}).items():
        yield name, _amount(value)


def _amount(quantity: object) -> float:
    """A quantity of Kubernetes, such as `500m` or `16Gi`."""
    from lightkube.utils.quantity import parse_quantity

    return float(parse_quantity(str(quantity)) or 0)
