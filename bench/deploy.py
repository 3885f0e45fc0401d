"""Time from a config file to the first response, and of an unchanged deploy."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from bench import bare
from bench.rounds import RAYLIFT, Row, at_most, in_turn, make_project, wall


def rows() -> list[Row]:
    """Compare `raylift deploy` with a plain PUT, polled until it serves."""
    with tempfile.TemporaryDirectory() as name:
        project = make_project(
            Path(name) / "p", config="  raylift:ray: {head: {numCpus: 4}}\n"
        )
        wall(RAYLIFT, "up", cwd=project)
        try:
            return _measure(project)
        finally:
            wall(RAYLIFT, "delete", "--yes", cwd=project)


def _measure(project: Path) -> list[Row]:
    _write(project, "warm")
    wall(RAYLIFT, "deploy", "warm.yaml", cwd=project)
    ports = json.loads((project / ".raylift/local/state.json").read_text())["ports"]
    token = (project / ".raylift/local/token").read_text()
    dashboard = f"http://127.0.0.1:{ports['base'] + 1}"
    data_plane = f"http://127.0.0.1:{ports['serve']}"
    warm = bare.details(dashboard, token)["applications"]["warm"]["deployed_app_config"]

    def ours(index: int) -> float:
        _write(project, f"a{index}")
        began = time.monotonic()
        wall(RAYLIFT, "deploy", f"a{index}.yaml", cwd=project)
        assert bare.request("GET", f"{data_plane}/a{index}") is not None
        took = time.monotonic() - began
        wall(RAYLIFT, "delete", f"a{index}", cwd=project)
        return took

    def theirs(index: int) -> float:
        new = {**warm, "name": f"b{index}", "route_prefix": f"/b{index}"}
        began = time.monotonic()
        _put(dashboard, token, ports["serve"], [warm, new])
        bare.poll(
            lambda: (
                bare.details(dashboard, token)["applications"][f"b{index}"]["status"]
                == "RUNNING"
            )
        )
        bare.poll(lambda: bare.request("GET", f"{data_plane}/b{index}"))
        took = time.monotonic() - began
        _put(dashboard, token, ports["serve"], [warm])
        bare.poll(
            lambda: f"b{index}" not in bare.details(dashboard, token)["applications"]
        )
        return took

    first = in_turn(ours, theirs)
    again, _ = in_turn(
        lambda _: wall(RAYLIFT, "deploy", "warm.yaml", cwd=project), lambda _: 0.0
    )
    what = "`raylift deploy` to a verified response, Serve warm"
    row = at_most(what, "bare PUT, polled until RUNNING and 200", first, 1.15)
    same = Row(
        "`raylift deploy` with nothing changed", "the first deploy",
        again, first[0], "s", "≤ 0.5 s", again <= 0.5,
    )  # fmt: skip
    return [row, same]


def _write(project: Path, name: str) -> None:
    application = {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": "trivial:app",
        "runtime_env": {"working_dir": "app"},
    }
    (project / f"{name}.yaml").write_text(json.dumps({"applications": [application]}))


def _put(base: str, token: str, port: int, applications: list[dict]) -> None:
    body = {
        "proxy_location": "HeadOnly",
        "http_options": {"host": "127.0.0.1", "port": port},
        "applications": applications,
    }
    url = f"{base}/api/serve/applications/"
    assert bare.request("PUT", url, body=body, token=token) is not None
