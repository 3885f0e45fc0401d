"""A stack of target `kubernetes`, compared with a plain RayService.

It requires a rig whose pods are real processes: `tests/rig/exec.sh .venv/bin/python -m
bench kubernetes`. The rig has no kube-proxy and no port forwarding, so both sides send
requests to the only worker, and `serve status` to the head's address.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

from bench import bare
from bench.load import throughput
from bench.preview import make_cluster_project
from bench.rounds import BIN, RAYLIFT, ROUNDS, Row, at_least, at_most, in_turn, wall

_SECONDS = 5.0
_CODE = """
from ray import serve

@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Trivial:
    def __init__(self, version):
        self.version = version

    async def __call__(self, request):
        return self.version

def app(args):
    return Trivial.bind(args["version"])
"""
_WORKERS = """\
  raylift:ray:
    workerGroups: [{name: workers, numCpus: 1, memory: 2Gi, minReplicas: 1}]
"""
_PLAIN = "plain"


def rows() -> list[Row]:
    """Measure requests, deploys and status on both sides."""
    with tempfile.TemporaryDirectory() as folder:
        project = make_cluster_project(Path(folder), _WORKERS)
        return _measured(project)


def _measured(project: Path) -> list[Row]:
    config = _Config(project)
    try:
        wall("kubectl", "create", "namespace", _PLAIN)
        wall(RAYLIFT, "up", "--yes", "-s", "bench", cwd=project)
        _deploy(config, "first")
        _apply(config, "first")
        deploys = in_turn(
            lambda n: _deploy(config, f"v{n}"), lambda n: _apply(config, f"v{n}")
        )
        unchanged = [_deploy(config, f"v{ROUNDS - 1}") for _ in range(ROUNDS)]
        status = in_turn(lambda _: _status(project), lambda _: _plain_status())
        load = in_turn(lambda _: _load("bench-ray"), lambda _: _load(_PLAIN))
    finally:
        wall("kubectl", "delete", "namespace", _PLAIN, "--ignore-not-found")
        wall(RAYLIFT, "delete", "--yes", "-s", "bench", cwd=project)
    plain = "`kubectl apply` of a RayService"
    idle = statistics.median(unchanged)
    return [
        at_most("`raylift deploy` to a verified answer", plain, deploys, 1.15),
        at_most("`raylift deploy`, unchanged", "the same", (idle, deploys[1]), 1 / 4),
        at_most(
            "`raylift status`",
            "`kubectl get rayservice`, `serve status`",
            status,
            1 / 4,
        ),
        at_least(
            "requests/s, trivial application, 16 connections", "a RayService", load, 4
        ),
    ]


class _Config:
    """One application, as a Serve config and in a plain RayService."""

    def __init__(self, project: Path) -> None:
        self.project = project
        package = Path(os.environ["RIG_RUN"]) / "bench.zip"
        with zipfile.ZipFile(package, "w") as archive:
            archive.writestr("trivial.py", _CODE)
        self._uri = f"file://{package}"

    def serve(self, version: str) -> str:
        """Return a Serve config whose application answers with `version`."""
        application = {
            "name": "trivial",
            "route_prefix": "/",
            "import_path": "trivial:app",
            "args": {"version": version},
            "runtime_env": {"working_dir": self._uri},
        }
        return json.dumps({"applications": [application]})

    def ray_service(self, version: str) -> str:
        """Return a RayService like KubeRay's sample: Ray's defaults, one worker."""
        cluster = {
            "rayVersion": "2.60.0",
            "headGroupSpec": _group({"dashboard-host": "0.0.0.0", "num-cpus": "0"}),
            "workerGroupSpecs": [
                {"groupName": "workers", "replicas": 1, "minReplicas": 1} | _group({})
            ],
        }
        return json.dumps({
            "apiVersion": "ray.io/v1",
            "kind": "RayService",
            "metadata": {"name": _PLAIN, "namespace": _PLAIN},
            "spec": {
                "serveConfigV2": self.serve(version), "rayClusterConfig": cluster
            },
        })  # fmt: skip


def _group(start: dict[str, str]) -> dict[str, Any]:
    resources = {"cpu": "1", "memory": "2Gi"}
    container = {
        "name": "ray",
        "image": "rayproject/ray:2.60.0",
        "resources": {"requests": resources, "limits": resources},
    }
    return {"rayStartParams": start, "template": {"spec": {"containers": [container]}}}


def _deploy(config: _Config, version: str) -> float:
    (config.project / "serve.yaml").write_text(config.serve(version), encoding="utf-8")
    return wall(RAYLIFT, "deploy", "-s", "bench", cwd=config.project)


def _apply(config: _Config, version: str) -> float:
    """Return the seconds from `kubectl apply` to an answer of this version."""
    began = time.monotonic()
    text = config.ray_service(version)
    command = ["kubectl", "apply", "-f", "-"]
    subprocess.run(command, check=True, capture_output=True, text=True, input=text)
    bare.poll(lambda: _answer() == version.encode(), seconds=600)
    return time.monotonic() - began


def _answer() -> bytes | None:
    address = _address(_PLAIN, "worker")
    return bare.request("GET", f"http://{address}:8000/") if address else None


def _status(project: Path) -> float:
    return wall(RAYLIFT, "status", "-s", "bench", cwd=project)


def _plain_status() -> float:
    dashboard = f"http://{_address(_PLAIN, 'head')}:8265"
    return wall("kubectl", "-n", _PLAIN, "get", "rayservice", "-o", "wide") + wall(
        str(BIN / "serve"), "status", "-a", dashboard
    )


def _load(namespace: str) -> float:
    address = _address(namespace, "worker")
    throughput(8000, "/", connections=16, seconds=1, host=address)
    return throughput(8000, "/", connections=16, seconds=_SECONDS, host=address)


def _address(namespace: str, kind: str) -> str:
    """Return the address of a running pod, or "" if there is none."""
    command = ["kubectl", "-n", namespace, "get", "pods", "-o", "json"]
    command += ["--field-selector=status.phase=Running"]
    command += ["-l", f"ray.io/node-type={kind}"]
    pods = json.loads(subprocess.check_output(command))["items"]
    found = [p["status"].get("podIP", "") for p in pods]
    return found[0] if found else ""
