"""Pure: whether replicas fit the nodes, and what is lacking, in Ray's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from serve_runtime.dashboard import Node
    from serve_runtime.status import ApplicationStatus


def missing(needs: Mapping[str, float], nodes: Iterable[Node]) -> str:
    """What no single node offers: `needs GPU 8, the largest node has 0`; else empty."""
    alive = [node for node in nodes if node.alive]
    if not needs or any(_fits(needs, node.resources) for node in alive):
        return ""
    lacks = []
    for resource, amount in sorted(needs.items()):
        most = max((node.resources.get(resource, 0) for node in alive), default=0)
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
        if free.get(resource, 0) < amount
    )
