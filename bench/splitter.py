"""Overhead of a splitter, and the time until new weights take effect."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

from bench.load import throughput
from bench.rounds import RAYLIFT, ROUNDS, Row, at_least, make_project, wall

_SECONDS = 4.0
_ARM = """
from fastapi import FastAPI
from ray import serve

api = FastAPI()


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
@serve.ingress(api)
class Arm:
    @api.get("/")
    async def root(self):
        return "ok"


app = Arm.bind()
"""


def rows() -> list[Row]:
    """Measure a FastAPI application directly and through the splitter."""
    with tempfile.TemporaryDirectory() as name:
        project = make_project(Path(name) / "p")
        (project / "app" / "arm.py").write_text(_ARM)
        (project / "serve.yaml").write_text(json.dumps(_config()))
        wall(RAYLIFT, "up", cwd=project)
        try:
            wall(RAYLIFT, "deploy", cwd=project)
            state = json.loads((project / ".raylift/local/state.json").read_text())
            port = state["ports"]["serve"]
            return [*_load(port), *_steer(project, port)]
        finally:
            wall(RAYLIFT, "delete", "--yes", cwd=project)


def _config() -> dict[str, object]:
    arms = [
        {
            "name": name,
            "route_prefix": f"/{name}",
            "import_path": "arm:app",
            "runtime_env": {"working_dir": "app"},
        }
        for name in ("v1", "v2")
    ]
    splitter = {
        "name": "split",
        "route_prefix": "/split",
        "import_path": "raylift.splitter:app",
        "deployments": [
            {"name": "Splitter", "user_config": {"arms": {"v1": 100, "v2": 0}}}
        ],
    }
    return {"applications": [*arms, splitter]}


def _load(port: int) -> list[Row]:
    paths = ("/split/", "/v1/")
    for path in paths:
        throughput(port, path, connections=16, seconds=2)
    many: dict[str, list[float]] = {path: [] for path in paths}
    one: dict[str, list[float]] = {path: [] for path in paths}
    for _ in range(ROUNDS):
        for path in paths:
            rate = throughput(port, path, connections=16, seconds=_SECONDS)
            many[path].append(rate)
            alone = throughput(port, path, connections=1, seconds=_SECONDS)
            one[path].append(1000 / alone)
    ours, theirs = (statistics.median(many[path]) for path in paths)
    late, early = (statistics.median(one[path]) for path in paths)
    return [
        at_least(
            "requests/s through the splitter, 16 connections",
            "the arm directly", (ours, theirs), 0.5,
        ),
        Row(
            "latency through the splitter, 1 connection", "the arm directly",
            late, early, "ms", "≤ 1.5 ms more", late - early <= 1.5,
        ),
    ]  # fmt: skip


def _steer(project: Path, port: int) -> list[Row]:
    took, live = [], []
    for index in range(ROUNDS):
        arm, other = ("v2", "v1") if index % 2 == 0 else ("v1", "v2")
        began = time.monotonic()
        wall(RAYLIFT, "traffic", "split", f"{arm}=100", f"{other}=0", cwd=project)
        took.append(time.monotonic() - began)
        while _arm(port) != arm:
            assert time.monotonic() - began < 20, "the weights did not take effect"
        live.append(time.monotonic() - began)
    command, seen = statistics.median(took), statistics.median(live)
    status = statistics.median(
        wall(RAYLIFT, "status", cwd=project) for _ in range(ROUNDS)
    )
    return [
        Row(
            "`raylift traffic APP ARM=WEIGHT`", "`raylift status`",
            command, status, "s", "≤ 0.5 s", command <= 0.5,
        ),
        Row(
            "the same, until a response shows it", "`raylift status`",
            seen, status, "s", "≤ 0.5 s", seen <= 0.5,
        ),
    ]  # fmt: skip


def _arm(port: int) -> str | None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/split/") as response:
        return response.headers["x-raylift-arm"]
