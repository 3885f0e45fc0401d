"""The commands of the README and of the first guide, run on real Ray."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
from blocks import blocks_of, run_script
from project import RAYLIFT, processes_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.ray

PAGES = (
    "README.md",
    pytest.param("docs/guides/first-model.md", marks=pytest.mark.long),
)
ADDRESS = "http://127.0.0.1:8000"
# `up` chooses another port if 8000 is in use.
SERVE_URL = (
    "$(raylift up --json 2>/dev/null"
    " | python -c 'import json, sys; print(json.load(sys.stdin)[\"serve_url\"])')"
)


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work_from_top_to_bottom(page, tmp_path):
    blocks = [b for b in blocks_of(page) if b.needs in ("", "ray")]
    script = "\n".join(b.script for b in blocks)
    assert "raylift up" in script
    assert ADDRESS in script
    try:
        done = run_script(_with_the_real_port(script), tmp_path, timeout_s=300)
    finally:
        for folder in (tmp_path, tmp_path / "models"):
            _delete_stack(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Hello, you!" in done.stdout


def _with_the_real_port(script: str) -> str:
    """Return the script with the address that `up` chose instead of the default one."""
    return script.replace(f"'{ADDRESS}/?name=you'", f'"{SERVE_URL}/?name=you"')


def _delete_stack(folder: Path) -> None:
    """Delete what an interrupted script left, and check that nothing remains."""
    if (folder / "Pulumi.yaml").exists():
        subprocess.run(
            [RAYLIFT, "delete", "--yes"], cwd=folder, timeout=120, check=True
        )
    assert processes_of(folder / ".raylift" / "local") == []
