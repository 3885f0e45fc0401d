"""Fenced command blocks of the Markdown files, and what each one needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
NEEDS = {
    "ray": "starts Ray; tests/local/test_docs.py runs it",
    "stack": "needs a stack with applications that the page describes in prose",
    "cluster": "needs a Kubernetes cluster",
    "cloud": "needs an AWS account",
    "network": "installs something",
    "checkout": "runs in a checkout of the repository",
}
_BLOCK = re.compile(
    r"(?:^[ ]*<!-- needs: (?P<needs>[^\n]*?) -->\n)?"
    r"^(?P<indent>[ ]*)```(?:sh|console)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block of commands; `needs` is empty if a test can run it anywhere."""

    page: str
    line: int
    needs: str
    script: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[str]:
    """Return the pages whose blocks are collected, relative to the repository."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def blocks_of(page: str) -> list[Block]:
    """Return the command blocks of a page, from top to bottom."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(
            page,
            line=text.count("\n", 0, match.start("indent")) + 1,
            needs=match["needs"] or "",
            script=textwrap.dedent(match["text"]),
        )
        for match in _BLOCK.finditer(text)
    ]


def run_script(
    script: str, folder: Path, *, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    """Run a script with this environment's commands, and stop at its first error."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    environment.pop("RAYLIFT_STACK", None)
    return subprocess.run(
        ["sh", "-euc", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        stdin=subprocess.DEVNULL,
        check=False,
    )
