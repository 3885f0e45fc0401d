"""A small project in a folder of its own, and the command line run inside it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.main import app
from infra.local import processes

GOOD = {
    "Pulumi.yaml": "name: t\nruntime: python\n",
    "stacks/Pulumi.local.yaml": "config:\n  raylift:target: local\n",
    "serve.yaml": "applications:\n  - import_path: main:app\n"
    "    runtime_env: {working_dir: .}\n",
    "main.py": "from ray import serve\n\n@serve.deployment\nclass A:\n    pass\n\n"
    "app = A.bind()\n",
}


@dataclass(frozen=True)
class Told:
    """What a command said."""

    code: int
    errors: list[str]
    hints: list[str]
    stdout: str


class Project:
    """Files in a folder; a command that runs there may neither write nor connect."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(**GOOD)

    def write(self, **files: str | bytes | None) -> Project:
        """Write files by their names; None takes one away."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                data = content if isinstance(content, bytes) else content.encode()
                path.write_bytes(data)
        return self

    def run(self, *arguments: str) -> Told:
        """Run a command; its stderr is error and hint lines and nothing else."""
        before = Path.cwd()
        os.chdir(self.folder)
        there = self._files()
        try:
            result = CliRunner().invoke(app, list(arguments))
        finally:
            os.chdir(before)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert self._files() == there
        lines = result.stderr.splitlines()
        told = Told(
            result.exit_code,
            [line[7:] for line in lines if line.startswith("error: ")],
            [line[7:] for line in lines if line.startswith(" hint: ")],
            result.stdout,
        )
        assert len(told.errors) + len(told.hints) == len(lines), result.stderr
        return told

    def refused(self, *arguments: str, code: int = 2) -> list[str]:
        """The errors of a command that must end with this code, having done nothing."""
        told = self.run(*arguments)
        assert told.code == code, told
        assert told.errors
        assert told.stdout == ""
        return told.errors

    def _files(self) -> list[str]:
        return sorted(str(path) for path in self.folder.rglob("*"))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    def never(*_: object, **__: object) -> None:
        pytest.fail("bad input must be refused before this")

    for module, name in (
        (socket.socket, "connect"),
        (socket.socket, "connect_ex"),
        (processes, "start"),
    ):
        monkeypatch.setattr(module, name, never)
    monkeypatch.delenv("RAYLIFT_STACK", raising=False)
    return Project(tmp_path)
