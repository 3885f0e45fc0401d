"""A raylift project in the rig, and raylift commands as a user runs them."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from project import default_signals

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 600


@dataclass(frozen=True)
class Stack:
    """One stack of a project in a separate folder."""

    folder: Path
    name: str

    def write(self, text: str) -> None:
        """Write the stack file; this removes what Pulumi added to it."""
        self.file.write_text(text, encoding="utf-8")

    @property
    def file(self) -> Path:
        return self.folder / "stacks" / f"Pulumi.{self.name}.yaml"

    def raylift(self, *words, code: int | None = 0) -> subprocess.CompletedProcess:
        """Run `raylift …` and assert its exit code."""
        return self.run("raylift", *words, "-s", self.name, code=code)

    def run(self, *words, code: int | None = 0) -> subprocess.CompletedProcess:
        done = subprocess.run(
            words,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        said = f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert code is None or done.returncode == code, said
        assert "Traceback" not in said, said
        return done

    def start(self, *words) -> subprocess.Popen:
        """Start `raylift …` in the background, in a new process group."""
        return self.spawn("raylift", *words, "-s", self.name)

    def spawn(self, *words) -> subprocess.Popen:
        return subprocess.Popen(
            words,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=default_signals,
        )


@contextlib.contextmanager
def project(folder: Path, name: str, text: str):
    """Create a project like this repository's root; finally delete its stack."""
    for part in ("Pulumi.yaml", "infra/__main__.py"):
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, folder / part)
    (folder / "stacks").mkdir()
    stack = Stack(folder, name)
    stack.write(text)
    try:
        yield stack
    finally:
        stack.raylift("delete", "--yes", code=None)
