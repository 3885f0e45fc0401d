"""Limits of one machine: many replicas of one application, and many applications.

It prints a separate table, because it compares nothing and has no goal. `python -m
bench` runs it only by name: it takes half an hour on two cores. Two cores cannot
replace all replicas at once: 30 of 150 more start at a time and starve Ray's own
processes.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bench.rounds import RAYLIFT, make_project, wall

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.rounds import Row

_REPLICAS = 150
_APPLICATIONS = 60
_LIGHT = {"num_cpus": 0.01}


def rows() -> list[Row]:
    """Print the table; return no rows, because nothing is compared."""
    print("| what | time | memory of the stack |")
    print("|---|---|---|")
    _measure(f"{_REPLICAS} replicas of one application", _one, ["app"])
    names = [f"app{number}" for number in range(_APPLICATIONS)]
    _measure(f"{_APPLICATIONS} applications", _many, names)
    return []


def _measure(
    what: str, document: Callable[[], list[dict[str, object]]], names: list[str]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(
            Path(folder) / "p", config="  raylift:ray: {head: {numCpus: 64}}\n"
        )
        (project / "serve.yaml").write_text(json.dumps({"applications": document()}))
        wall(RAYLIFT, "up", cwd=project)
        try:
            deploy = (RAYLIFT, "deploy", "--timeout", "1800")
            _report(f"{what}: deployed", project, *deploy)
            _report(f"{what}: status", project, RAYLIFT, "status")
            _report(f"{what}: unchanged", project, *deploy)
            if len(names) > 1:
                with (project / "app" / "trivial.py").open("a") as code:
                    code.write("# another version\n")
                _report(f"{what}: replaced by another version", project, *deploy)
            _report(f"{what}: deleted", project, RAYLIFT, "delete", *names)
        finally:
            wall(RAYLIFT, "delete", "--yes", cwd=project)


def _report(what: str, project: Path, *command: str) -> None:
    took = wall(*command, cwd=project)
    time.sleep(2)
    print(f"| {what} | {took:.1f} s | {_gigabytes(project):.1f} GB |", flush=True)


def _gigabytes(project: Path) -> float:
    """Return the memory of all processes of the stack, counting shared memory once."""
    total = 0
    mark = str(project / ".raylift" / "local")
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAYLIFT_STACK_DIR") == mark:
                total += process.memory_full_info().pss
        except (psutil.Error, OSError):
            continue
    return total / 1e9


def _one() -> list[dict[str, object]]:
    return [_application("app", _REPLICAS)]


def _many() -> list[dict[str, object]]:
    return [_application(f"app{number}", 1) for number in range(_APPLICATIONS)]


def _application(name: str, replicas: int) -> dict[str, object]:
    return {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": "trivial:app",
        "runtime_env": {"working_dir": "app"},
        "deployments": [
            {
                "name": "Trivial",
                "num_replicas": replicas,
                "ray_actor_options": _LIGHT,
            }
        ],
    }
