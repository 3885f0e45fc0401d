"""Comparison of a stack file with the running nodes; pure functions.

It also determines which changes require a restart of the head, and the ports of nodes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.infra.local.node_plan import HEAD
from raylift.infra.local.ports import MAX_NODES
from raylift.infra.stack import StackChange

if TYPE_CHECKING:
    from raylift.infra.local.config import LocalConfig
    from raylift.infra.local.state import Applied

# Not properties of a running process, or compared separately.
_CHANGEABLE = ("port", "grpcPort", "defaults")


def node_names(config: LocalConfig) -> list[str]:
    """Return the names of all nodes in the stack file, the head first."""
    groups = config.node_groups
    return [HEAD, *(f"{g.name}-{n}" for g in groups for n in range(g.min_size))]


def node_indices(
    config: LocalConfig, applied: Applied | None, *, starting: set[str]
) -> dict[str, int]:
    """Return the index of each node, which determines its ports.

    A running node keeps its index. A starting node gets an unused one, because the head
    remembers stopped nodes for a while and would mistake a new node on the same ports
    for the old one. Indices are reused only if no others are left.
    """
    before = applied.nodes if applied else {}
    names = node_names(config)
    continuing = before.keys() & set(names) - starting
    assigned = {HEAD: 0} | {name: before[name] for name in continuing}
    used = {0, *before.values()}
    unused = (index for index in range(1, MAX_NODES) if index not in used)
    reusable = iter(sorted(used - set(assigned.values())))
    return {
        name: assigned[name]
        if name in assigned
        else next(unused, None) or next(reusable)
        for name in names
    }


def plan_changes(
    config: LocalConfig, applied: Applied | None, running: set[str]
) -> list[StackChange]:
    """Return the nodes to start, stop and restart.

    Without a running head, all nodes start; those still running are useless.
    """
    names = node_names(config)
    if HEAD not in running or applied is None:
        return [StackChange("start", name) for name in names]
    old = {group["name"]: group for group in applied.config["raylift:nodeGroups"]}
    new = {g.name: g.model_dump(by_alias=True) for g in config.node_groups}
    changes = []
    for name in sorted(running | set(names)):
        group = name.rsplit("-", 1)[0]
        if name not in names:
            changes.append(StackChange("stop", name, "not in the stack file"))
        elif name not in running:
            changes.append(StackChange("start", name))
        elif name != HEAD and _shape(old.get(group)) != _shape(new[group]):
            changes.append(StackChange("restart", name, "its node group changed"))
    return changes


def needs_restart(
    config: LocalConfig, applied: Applied, *, ray_version: str
) -> list[str]:
    """Return the changes that require a restart of Ray, as keys or versions."""
    new, old = config.resolved(), applied.config
    changed = [
        f"{section}.{key}"
        for section in ("raylift:ray", "raylift:serve")
        for key in new[section]
        if new[section][key] != old[section].get(key) and key not in _CHANGEABLE
    ]
    if config.serve.port not in (None, applied.ports.serve):
        changed.append("raylift:serve.port")
    if config.serve.grpc_port not in (None, applied.ports.grpc):
        changed.append("raylift:serve.grpcPort")
    if applied.ray_version != ray_version:
        changed.append(f"Ray version {applied.ray_version} → {ray_version}")
    return changed


def _shape(group: dict[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (group or {}).items() if key != "minSize"}
