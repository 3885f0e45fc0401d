"""Running nodes of a local stack, determined from processes and ports."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raylift.infra.local import processes
from raylift.infra.local.node_plan import HEAD, raylet_port
from raylift.infra.local.ports import is_open
from raylift.messages import printable

if TYPE_CHECKING:
    from pathlib import Path

    from raylift.infra.local.state import Applied

_COLOR = re.compile(r"\x1b\[[0-9;]*m")
# Before this age, a raylet that does not listen may be starting; after it, it is dead.
_STARTING_SECONDS = 60.0


def running_nodes(state_dir: Path, applied: Applied | None) -> set[str]:
    """Return nodes whose `ray start` runs and whose raylet listens or is starting."""
    running = processes.find(state_dir)
    return {
        name
        for name, seconds in processes.leaders(running).items()
        if applied is None
        or seconds < _STARTING_SECONDS
        or name not in applied.nodes
        or _raylet_listens(applied, name)
    }


def is_head_running(state_dir: Path, applied: Applied) -> bool:
    """Return whether the head runs.

    Checking its port is fast. Only if it is closed, search for the process.
    """
    return is_open(applied.ports.gcs) or HEAD in running_nodes(state_dir, applied)


def silent_nodes(applied: Applied | None) -> list[str]:
    """Return nodes whose raylet does not listen: it is dead or still starting."""
    if applied is None:
        return []
    return [name for name in applied.nodes if not _raylet_listens(applied, name)]


def last_error(log: Path) -> str:
    """Return the exception that terminated a node, or the last line of its log."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in _COLOR.sub("", text).splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return printable((errors or lines or [""])[-1], limit=300)


def _raylet_listens(applied: Applied, name: str) -> bool:
    return is_open(raylet_port(applied.ports.of_node(applied.nodes[name])))
