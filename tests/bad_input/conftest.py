"""A small project in a temporary directory, and commands that run in it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raylift.cli.main import app
from raylift.infra.local import processes

GOOD = {
    "Pulumi.yaml": "name: t\nruntime: python\n",
    "stacks/Pulumi.local.yaml": "config:\n  raylift:target: local\n",
    "serve.yaml": "applications:\n  - import_path: main:app\n"
    "    runtime_env: {working_dir: .}\n",
    "main.py": "from ray import serve\n\n@serve.deployment\nclass A:\n    pass\n\n"
    "app = A.bind()\n",
}


@dataclass(frozen=True)
class Result:
    """The result of a command."""

    code: int
    errors: list[str]
    hints: list[str]
    stdout: str


class Project:
    """A project directory in which commands must neither write nor connect."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write(**GOOD)

    def write(self, **files: str | bytes | None) -> Project:
        """Write files by name; None deletes a file."""
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                data = content if isinstance(content, bytes) else content.encode()
                path.write_bytes(data)
        return self

    def run(self, *arguments: str) -> Result:
        """Run a command, whose stderr has only error and hint lines."""
        before = Path.cwd()
        os.chdir(self.folder)
        files = self._files()
        try:
            outcome = CliRunner().invoke(app, list(arguments))
        finally:
            os.chdir(before)
        assert outcome.exception is None or isinstance(outcome.exception, SystemExit)
        assert self._files() == files
        lines = outcome.stderr.splitlines()
        result = Result(
            outcome.exit_code,
            [line[7:] for line in lines if line.startswith("error: ")],
            [line[7:] for line in lines if line.startswith(" hint: ")],
            outcome.stdout,
        )
        assert len(result.errors) + len(result.hints) == len(lines), outcome.stderr
        return result

    def refused(self, *arguments: str, code: int = 2) -> list[str]:
        """Return the errors of a command that must fail with this code."""
        result = self.run(*arguments)
        assert result.code == code, result
        assert result.errors
        assert result.stdout == ""
        return result.errors

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
