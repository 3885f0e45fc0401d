"""Pure: whether replicas fit the nodes, and what is lacking, in Ray's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from serve_runtime.dashboard import Node
    from serve_runtime.status import ApplicationStatus


# Of sums of fractions of a resource.
_ROUNDING = 1e-6
# Which accelerator a node has, Ray finds when the node is there.
_FOUND_LATER = "accelerator_type:"


def missing(
    needs: Mapping[str, float], nodes: Iterable[Node], could: Iterable[Node] = ()
) -> str:
    """What no single node offers: `needs GPU 8, the largest node has 0`; else empty.

    `could` are nodes that are not there and that an autoscaler would bring.
    """
    alive, could = [node for node in nodes if node.alive], list(could)
    known = {k: n for k, n in needs.items() if not k.startswith(_FOUND_LATER)}
    if not needs or any(_fits(needs, node.resources) for node in alive):
        return ""
    if any(_fits(known, node.resources) for node in could):
        return ""
    lacks = []
    for resource, amount in sorted(needs.items()):
        offers = (node.resources.get(resource, 0) for node in (*alive, *could))
        most = max(offers, default=0)
        if most < amount:
            lacks.append(f"needs {resource} {amount:g}, the largest node has {most:g}")
    return "; ".join(lacks) or "no node has all it needs together"


def _fits(needs: Mapping[str, float], has: Mapping[str, float]) -> bool:
    return all(has.get(resource, 0) >= amount for resource, amount in needs.items())


def free_resources(
    nodes: Iterable[Node], applications: Iterable[ApplicationStatus]
) -> dict[str, float]:
    """What no replica of Serve holds, summed over all nodes."""
    free: dict[str, float] = {}
    for node in nodes:
        for resource, amount in node.resources.items() if node.alive else ():
            free[resource] = free.get(resource, 0) + amount
    for application in applications:
        for deployment in application.deployments:
            placed = sum(1 for member in deployment.members if member.pid)
            for resource, amount in deployment.needs.items():
                free[resource] = free.get(resource, 0) - placed * amount
    return free


def short_of(needs: Mapping[str, float], free: Mapping[str, float]) -> str:
    """`CPU 1 (0.5 free)` for each resource of which too little is free; or empty."""
    return ", ".join(
        f"{resource} {amount:g} ({max(free.get(resource, 0), 0):g} free)"
        for resource, amount in sorted(needs.items())
        if free.get(resource, 0) < amount - _ROUNDING
    )
