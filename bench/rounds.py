"""Measurement of two alternatives in alternating rounds, and the table of results."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
BIN = Path(sys.executable).parent
RAYLIFT = str(BIN / "raylift")


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement. `unit` is s, ms or requests/s; `ratio` is ours / theirs."""

    what: str
    against: str
    ours: float
    theirs: float
    unit: str
    goal: str
    met: bool

    @property
    def ratio(self) -> float:
        """Quotient of both values; below 1, raylift's is smaller."""
        return self.ours / self.theirs


def in_turn(
    ours: Callable[[int], float],
    theirs: Callable[[int], float],
    *,
    rounds: int = ROUNDS,
) -> tuple[float, float]:
    """Return the medians of both sides, measured in alternation."""
    pairs = [(ours(index), theirs(index)) for index in range(rounds)]
    return (
        statistics.median(pair[0] for pair in pairs),
        statistics.median(pair[1] for pair in pairs),
    )


def wall(*command: str, cwd: Path | None = None) -> float:
    """Return the seconds that a command takes. The command must succeed."""
    began = time.monotonic()
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    took = time.monotonic() - began
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return took


def cpu(*command: str, cwd: Path | None = None) -> float:
    """Return the CPU seconds, user and system, of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall(*command, cwd=cwd)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def at_most(what: str, against: str, sides: tuple[float, float], limit: float) -> Row:
    """Return a row of durations whose ratio must not exceed `limit`."""
    ours, theirs = sides
    goal = f"≤ {limit:.2f} x"
    return Row(what, against, ours, theirs, "s", goal, ours / theirs <= limit)


def at_least(what: str, against: str, sides: tuple[float, float], limit: float) -> Row:
    """Return a row of throughputs whose ratio must reach `limit`."""
    ours, theirs = sides
    goal = f"≥ {limit:.1f} x"
    return Row(what, against, ours, theirs, "requests/s", goal, ours / theirs >= limit)


def show(rows: list[Row]) -> None:
    """Print rows as a Markdown table, then as one line of JSON."""
    print("| what | against | raylift | other | ratio | goal |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        digits = {"s": 2, "ms": 2}.get(row.unit, 0)
        ours, theirs = f"{row.ours:.{digits}f}", f"{row.theirs:.{digits}f}"
        print(
            f"| {row.what} | {row.against} | {ours} {row.unit} | {theirs} {row.unit}"
            f" | {row.ratio:.2f} x | {row.goal} {'' if row.met else '**missed**'} |"
        )
    print(json.dumps({"rows": [{**asdict(row), "ratio": row.ratio} for row in rows]}))


def make_project(folder: Path, *, config: str = "") -> Path:
    """Create a project with one local stack and an application that does nothing."""
    (folder / "stacks").mkdir(parents=True)
    (folder / "Pulumi.yaml").write_text("name: bench\nruntime: python\n")
    body = "config:\n  raylift:target: local\n" + config
    (folder / "stacks" / "Pulumi.local.yaml").write_text(body)
    (folder / "app").mkdir()
    (folder / "app" / "trivial.py").write_text(
        "import asyncio\nfrom ray import serve\n\n"
        "@serve.deployment(ray_actor_options={'num_cpus': 0.1})\n"
        "class Trivial:\n    async def __call__(self, request):\n"
        "        return 'ok'\n\n"
        "@serve.deployment(ray_actor_options={'num_cpus': 0.1})\n"
        "class Slow:\n    async def __call__(self, request):\n"
        "        await asyncio.sleep(0.05)\n        return 'ok'\n\n"
        "app = Trivial.bind()\nslow = Slow.bind()\n"
    )
    return folder


def clean_environment() -> dict[str, str]:
    """Return the environment without variables of Ray and raylift."""
    return {
        k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "RAYLIFT_"))
    }
