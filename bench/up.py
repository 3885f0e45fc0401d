"""Time until a new cluster is usable."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench import bare
from bench.rounds import RAYLIFT, Row, at_most, in_turn, make_project, wall


def rows() -> list[Row]:
    """Compare `raylift up` with `ray start --head` until its dashboard responds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        project = make_project(folder / "p")

        def ours(_: int) -> float:
            try:
                return wall(RAYLIFT, "up", cwd=project)
            finally:
                wall(RAYLIFT, "delete", "--yes", cwd=project)

        def theirs(_: int) -> float:
            with bare.ray(folder / "bare") as seconds:
                return seconds

        sides = in_turn(ours, theirs)
    what = "`raylift up` to a usable cluster"
    return [at_most(what, "`ray start --head` until it responds", sides, 1.15)]
