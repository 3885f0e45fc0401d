"""CPU time of the command line at startup, and the duration of `raylift status`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.rounds import BIN, RAYLIFT, Row, at_most, cpu, in_turn, make_project, wall


def rows() -> list[Row]:
    """Measure the CPU time of --version and --help, and the wall time of status."""
    serve = str(BIN / "serve")
    theirs = "`serve --help`, CPU"
    found = [
        at_most(
            f"CPU time of `raylift {option}`",
            theirs,
            in_turn(
                lambda _, o=option: cpu(RAYLIFT, o), lambda _: cpu(serve, "--help")
            ),
            limit,
        )
        for option, limit in (("--version", 1 / 12), ("--help", 1 / 8))
    ]
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder) / "p")
        (project / "serve.yaml").write_text(
            "applications: [{name: t, route_prefix: /t, import_path: 'trivial:app',"
            " runtime_env: {working_dir: app}}]"
        )
        wall(RAYLIFT, "up", cwd=project)
        try:
            wall(RAYLIFT, "deploy", cwd=project)
            found.append(_status(project, serve))
        finally:
            wall(RAYLIFT, "delete", "--yes", cwd=project)
    return found


def _status(project: Path, serve: str) -> Row:
    import json
    import os

    base = json.loads((project / ".raylift/local/state.json").read_text())["ports"][
        "base"
    ]
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(project / ".raylift/local/token")
    address = f"http://127.0.0.1:{base + 1}"
    sides = in_turn(
        lambda _: wall(RAYLIFT, "status", cwd=project),
        lambda _: wall(serve, "status", "-a", address, cwd=project),
    )
    del os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN_PATH"]
    return at_most("`raylift status`", "`serve status`", sides, 1 / 4)
