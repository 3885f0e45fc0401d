"""Pure: what runs and was applied, against the stack file → what `up` has to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.local.nodes import HEAD
from infra.local.ports import MAX_NODES
from infra.stack import Change

if TYPE_CHECKING:
    from infra.local.applied import Applied
    from infra.local.config import LocalConfig

# These are no property of a running process, or are compared apart.
_NOT_FROZEN = ("port", "grpcPort", "defaults")


def node_names(config: LocalConfig) -> list[str]:
    """Every node that the stack file asks for, the head first."""
    groups = config.node_groups
    return [HEAD, *(f"{g.name}-{n}" for g in groups for n in range(g.min_size))]


def node_indices(
    config: LocalConfig, applied: Applied | None, *, starting: set[str]
) -> dict[str, int]:
    """An index for each node; one that goes on keeps it, and so its ports.

    One that starts gets an index that was not in use: a head remembers the nodes it had
    for a while, and would take a new one on an old one's ports for that one.
    """
    had = applied.nodes if applied else {}
    names = node_names(config)
    going_on = had.keys() & set(names) - starting
    kept = {HEAD: 0} | {name: had[name] for name in going_on}
    taken = {0, *had.values()}
    free = (index for index in range(1, MAX_NODES) if index not in taken)
    again = iter(sorted(taken - set(kept.values())))
    return {
        name: kept[name] if name in kept else next(free, None) or next(again)
        for name in names
    }


def plan_changes(
    config: LocalConfig, applied: Applied | None, running: set[str]
) -> list[Change]:
    """What to start, stop and restart; empty where there is nothing to do.

    Without a head everything starts, and what runs without it has no use.
    """
    wanted = node_names(config)
    if HEAD not in running or applied is None:
        return [Change("start", name) for name in wanted]
    old = {group["name"]: group for group in applied.config["raylift:nodeGroups"]}
    new = {g.name: g.model_dump(by_alias=True) for g in config.node_groups}
    changes = []
    for name in sorted(running | set(wanted)):
        group = name.rsplit("-", 1)[0]
        if name not in wanted:
            changes.append(Change("stop", name, "not in the stack file"))
        elif name not in running:
            changes.append(Change("start", name))
        elif name != HEAD and _shape(old.get(group)) != _shape(new[group]):
            changes.append(Change("restart", name, "its node group changed"))
    return changes


def frozen(config: LocalConfig, applied: Applied, *, ray_version: str) -> list[str]:
    """What differs from the stack file and cannot change while Ray runs."""
    wanted, has = config.resolved(), applied.config
    found = [
        f"{section}.{key}"
        for section in ("raylift:ray", "raylift:serve")
        for key in wanted[section]
        if wanted[section][key] != has[section].get(key) and key not in _NOT_FROZEN
    ]
    if config.serve.port not in (None, applied.ports.serve):
        found.append("raylift:serve.port")
    if config.serve.grpc_port not in (None, applied.ports.grpc):
        found.append("raylift:serve.grpcPort")
    if applied.ray_version != ray_version:
        found.append(f"Ray {applied.ray_version} to {ray_version}")
    return found


def _shape(group: dict[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (group or {}).items() if key != "minSize"}
