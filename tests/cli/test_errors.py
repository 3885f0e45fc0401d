"""The complete text of errors on the command line, as a file that a review can read.

`RAYLIFT_WRITE_GOLDEN=1` rewrites the file.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from typer.testing import CliRunner

from raylift.cli.main import app

REVIEWED = Path(__file__).parent / "errors.txt"
COMMANDS = [
    "depoly",
    "up --fast",
    "deploy --timeout 0",
    "deploy --timeout soon",
    "deploy --canary 5 --blue-green",
    "deploy --canary 50,5",
    "deploy --canary 100 --step soon",
    "deploy --canary 100 --step 1s",
    "deploy no.yaml",
    "deploy stacks",
    "deploy serve.yaml --name a",
    "deploy nope:app",
    "deploy main:",
    "traffic",
    "traffic front v1",
    "status",
    "status -s locl",
    "up -s ../x",
    "config -s typo",
    "delete chat",
    "delete -s broken",
    "init",
    "init main.py",
]
FILES = {
    "Pulumi.yaml": "name: t\nruntime: python\n",
    "stacks/Pulumi.local.yaml": "config:\n  raylift:target: local\n",
    "stacks/Pulumi.typo.yaml": "config:\n  raylift:targt: local\n  raylift:ray: []\n",
    "serve.yaml": "applications: []\n",
    "main.py": "app = 1\n",
    ".raylift/broken/state.json": "{}",
}


def test_errors_are_as_reviewed(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAYLIFT_STACK", raising=False)
    current = "\n".join(_output(command) for command in COMMANDS)
    current = current.replace(str(tmp_path), "DIRECTORY")
    if os.environ.get("RAYLIFT_WRITE_GOLDEN"):
        REVIEWED.write_text(current, encoding="utf-8")
    assert current == REVIEWED.read_text(encoding="utf-8")


def _output(command: str) -> str:
    result = CliRunner().invoke(app, shlex.split(command), prog_name="raylift")
    return f"$ raylift {command}\n{result.output}exit code {result.exit_code}\n"
