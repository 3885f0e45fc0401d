"""Requests per second through the whole data plane, compared with `serve deploy`."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

from bench import bare
from bench.load import throughput
from bench.rounds import (
    BIN,
    RAYLIFT,
    Row,
    at_least,
    clean_environment,
    make_project,
    wall,
)

_SECONDS = 5.0
_ROUNDS = 5


def rows() -> list[Row]:
    """Measure a trivial application, and one replica at saturation."""
    with tempfile.TemporaryDirectory() as name:
        project = make_project(Path(name) / "p")
        (project / "serve.yaml").write_text(json.dumps({"applications": [
            {
                "name": name, "route_prefix": f"/{name}",
                "import_path": f"trivial:{name}",
                "runtime_env": {"working_dir": "app"},
            }
            for name in ("app", "slow")
        ]}))  # fmt: skip
        ours = _ours(project)
        theirs = _theirs(project, Path(name) / "bare")
    return [
        at_least(
            "requests/s, trivial application, 16 connections",
            "plain `serve deploy`", (ours[0], theirs[0]), 4,
        ),
        at_least(
            "requests/s, one replica at saturation, 40 clients",
            "plain `serve deploy`", (ours[1], theirs[1]), 5,
        ),
    ]  # fmt: skip


def _ours(project: Path) -> tuple[float, float]:
    wall(RAYLIFT, "up", cwd=project)
    try:
        wall(RAYLIFT, "deploy", cwd=project)
        state = json.loads((project / ".raylift/local/state.json").read_text())
        return _load(state["ports"]["serve"])
    finally:
        wall(RAYLIFT, "delete", "--yes", cwd=project)


def _theirs(project: Path, folder: Path) -> tuple[float, float]:
    config = json.loads((project / "serve.yaml").read_text())
    for application in config["applications"]:
        application["runtime_env"] = {"working_dir": f"local://{project / 'app'}"}
    config["http_options"] = {"host": "127.0.0.1", "port": 28000}
    plain = folder.with_suffix(".yaml")
    plain.write_text(json.dumps(config))
    with bare.ray(folder):
        environment = {**clean_environment(), "RAY_AUTH_MODE": "disabled"}
        command = [str(BIN / "serve"), "deploy", str(plain), "-a", bare.DASHBOARD]
        subprocess.run(command, check=True, capture_output=True, env=environment)
        for path in ("app", "slow"):
            url = f"http://127.0.0.1:28000/{path}"
            bare.poll(lambda url=url: bare.request("GET", url))
        return _load(28000)


def _load(port: int) -> tuple[float, float]:
    import statistics

    throughput(port, "/app", connections=16, seconds=2)
    fast = [
        throughput(port, "/app", connections=16, seconds=_SECONDS)
        for _ in range(_ROUNDS)
    ]
    slow = [
        throughput(port, "/slow", connections=40, seconds=_SECONDS)
        for _ in range(_ROUNDS)
    ]
    return statistics.median(fast), statistics.median(slow)
