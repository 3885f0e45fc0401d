"""Checks of replicas against the resources of nodes; pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raylift.serve_runtime.ray_api.dashboard import RayNode
    from raylift.serve_runtime.status.status import ApplicationStatus


# Tolerance for sums of fractional resources.
_ROUNDING = 1e-6
# Ray detects the accelerator type of a node when the node starts.
_DETECTED = "accelerator_type:"


def missing(
    needs: Mapping[str, float],
    nodes: Iterable[RayNode],
    potential: Iterable[RayNode] = (),
) -> str:
    """Return why no node fits the resources in `needs`, or "" if one does.

    The text reads `needs 8 GPU, but the largest node has 0`. `potential` holds the
    nodes that an autoscaler can add.
    """
    alive, potential = [node for node in nodes if node.alive], list(potential)
    if not needs or any(fits(needs, node.resources) for node in alive):
        return ""
    if any(fits(known(needs), node.resources) for node in potential):
        return ""
    lacks = []
    for resource, amount in sorted(needs.items()):
        offers = (node.resources.get(resource, 0) for node in (*alive, *potential))
        most = max(offers, default=0)
        if most < amount:
            lacks.append(
                f"needs {amount:g} {resource}, but the largest node has {most:g}"
            )
    return "; ".join(lacks) or "no single node has all the resources it needs"


def known(needs: Mapping[str, float]) -> dict[str, float]:
    """Return the resources that are known before a node starts."""
    return {k: amount for k, amount in needs.items() if not k.startswith(_DETECTED)}


def fits(needs: Mapping[str, float], has: Mapping[str, float]) -> bool:
    """Return whether a node with the resources `has` could hold `needs` when empty."""
    return all(has.get(resource, 0) >= amount for resource, amount in needs.items())


def free_resources(
    nodes: Iterable[RayNode], applications: Iterable[ApplicationStatus]
) -> dict[str, float]:
    """Return the resources not used by Serve replicas, summed over all live nodes."""
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
    """Return `1 CPU (0.5 free)` for each insufficient resource, or ""."""
    return ", ".join(
        f"{amount:g} {resource} ({max(free.get(resource, 0), 0):g} free)"
        for resource, amount in sorted(needs.items())
        if free.get(resource, 0) < amount - _ROUNDING
    )
