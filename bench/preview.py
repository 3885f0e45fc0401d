"""Duration of `raylift preview`, compared with `pulumi preview` of the same program.

It requires a rig: `tests/rig/exec.sh .venv/bin/python -m bench preview`. Both use the
same engine, provider and API server.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from bench.rounds import RAYLIFT, Row, at_most, in_turn, wall

ROOT = Path(__file__).resolve().parents[1]
FILE = """
config:
  raylift:target: kubernetes
  raylift:kubernetes: {namespace: bench-ray}
"""


def rows() -> list[Row]:
    """Measure a preview of a stack that is up and unchanged."""
    if "RIG_API_SERVER" not in os.environ:
        raise SystemExit("not in a rig: tests/rig/exec.sh … -m bench preview")
    with tempfile.TemporaryDirectory() as folder:
        project = make_cluster_project(Path(folder))
        wall(RAYLIFT, "up", "--yes", "-s", "bench", cwd=project)
        try:
            sides = in_turn(
                lambda _: wall(RAYLIFT, "preview", "-s", "bench", cwd=project),
                lambda _: wall("pulumi", "preview", "-s", "bench", cwd=project),
            )
        finally:
            wall(RAYLIFT, "delete", "--yes", "-s", "bench", cwd=project)
    return [at_most("`raylift preview`, unchanged", "`pulumi preview`", sides, 1.3)]


def make_cluster_project(folder: Path, config: str = "") -> Path:
    """Create a project with one stack of target `kubernetes`, named bench."""
    for part in ("Pulumi.yaml", "infra/__main__.py"):
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, folder / part)
    (folder / "stacks").mkdir()
    file = folder / "stacks" / "Pulumi.bench.yaml"
    file.write_text(f"{FILE}{config}", encoding="utf-8")
    return folder
