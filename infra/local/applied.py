"""What was last applied to a local stack, as it stands in its `state.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from infra.local.ports import Ports
from raylift.errors import LeftBehind
from raylift.files import read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Applied:
    """`config` is LocalConfig.resolved(); `nodes` gives each node's index of ports."""

    ports: Ports
    nodes: dict[str, int]
    config: dict[str, Any]
    ray_version: str


def load(path: Path) -> Applied | None:
    """What was applied, or None for a stack that is not up.

    Raises:
        LeftBehind: the file is damaged, or another version wrote it.
    """
    state = read_json(path)
    if state is None:
        return None
    try:
        return Applied(**{**state, "ports": Ports(**state["ports"])})
    except (KeyError, TypeError):
        raise LeftBehind(
            f"{path}: not this version's", hint="raylift delete, then raylift up"
        ) from None


def save(path: Path, applied: Applied) -> None:
    """Write it in one step."""
    write_json(path, asdict(applied))
