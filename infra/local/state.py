"""The configuration that was last applied to a local stack, stored in `state.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from raylift.errors import Leftovers
from raylift.infra.local.ports import Ports
from raylift.state_files import read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Applied:
    """The last applied configuration.

    `config` is `LocalConfig.resolved()`. `nodes` maps the name of each node to its
    index, which determines its ports.
    """

    ports: Ports
    nodes: dict[str, int]
    config: dict[str, Any]
    ray_version: str


def load(path: Path) -> Applied | None:
    """Read the state file; return None if it is missing, because the stack is not up.

    Raises:
        Leftovers: The file is damaged, or another version of raylift wrote it.
    """
    state = read_json(path)
    if state is None:
        return None
    try:
        return Applied(**{**state, "ports": Ports(**state["ports"])})
    except (KeyError, TypeError):
        raise Leftovers(
            f"{path}: was written by a different version of raylift",
            hint=f"run `raylift delete -s {path.parent.name}`, then `raylift up"
            f" -s {path.parent.name}`",
        ) from None


def save(path: Path, applied: Applied) -> None:
    """Replace the state file atomically."""
    write_json(path, asdict(applied))
