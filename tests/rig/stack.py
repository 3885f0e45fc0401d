"""A raylift project in the rig, and its commands as a person types them."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 150


@dataclass(frozen=True)
class Stack:
    """One stack of a project in a folder of its own."""

    folder: Path
    name: str

    def write(self, text: str) -> None:
        """Its stack file; what Pulumi has put there goes."""
        self.file.write_text(text, encoding="utf-8")

    @property
    def file(self) -> Path:
        return self.folder / "stacks" / f"Pulumi.{self.name}.yaml"

    def raylift(self, *words, code: int | None = 0) -> subprocess.CompletedProcess:
        """`raylift …`; its exit code is asserted."""
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
        """`raylift …` in the background, in a process group of its own."""
        return self.spawn("raylift", *words, "-s", self.name)

    def spawn(self, *words) -> subprocess.Popen:
        return subprocess.Popen(
            words,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


@contextlib.contextmanager
def project(folder: Path, name: str, text: str):
    """A project like this repository's root; its stack is deleted at the end."""
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
