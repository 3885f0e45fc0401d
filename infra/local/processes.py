"""The processes of a stack, found by a mark in their environment.

No pid is ever written down: a mark that every Ray process inherits cannot go stale
by a crash, a reboot or a reused pid, and it finds what a killed `raylift up` had
started but not yet recorded.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import psutil

STACK_MARK = "RAYLIFT_STACK_DIR"
NODE_MARK = "RAYLIFT_NODE"
_LEADERLESS_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class NodeProcess:
    """A process of a stack and the node it belongs to."""

    node: str
    process: psutil.Process

    @property
    def is_leader(self) -> bool:
        """Whether this is the `ray start --block` that the node's others hang on."""
        import psutil

        try:
            pid: int = self.process.pid
            return os.getsid(pid) == pid and self.process.status() != "zombie"
        except (OSError, psutil.Error):
            return False


def find(state_dir: Path) -> list[NodeProcess]:
    """Every living process of the stack whose state lies in `state_dir`."""
    import psutil  # a fifth of what `raylift status` would take, and it needs it rarely

    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):  # gone meanwhile, or somebody else's
            continue
        if environment.get(STACK_MARK) == str(state_dir):
            found.append(NodeProcess(environment.get(NODE_MARK, ""), process))
    return found


def leaders(processes: Iterable[NodeProcess]) -> dict[str, float]:
    """Nodes that run, and for how many seconds."""
    found = {}
    for process in processes:
        if process.is_leader:
            found[process.node] = time.time() - process.process.create_time()
    return found


def start(
    argv: list[str], *, environment: dict[str, str], cwd: Path, log: Path
) -> subprocess.Popen[bytes]:
    """Start a node in a session of its own, so that no Ctrl-C of ours reaches it."""
    with log.open("wb") as stream:
        return subprocess.Popen(
            argv,
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            # A shell's `cmd &` hands on an ignored SIGINT; `ray start --block` would
            # then never react to the signal that ends it fastest.
            preexec_fn=_default_sigint,  # noqa: PLW1509 no threads run at this point
        )


def _default_sigint() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def stop(state_dir: Path, nodes: set[str] | None = None) -> list[NodeProcess]:
    """End the stack's processes (of these nodes, or all); returns what would not go.

    SIGINT to the leaders ends Ray in about 2 s (SIGTERM: 32 s, measured on 2.60);
    SIGKILL to whatever is left after that.
    """

    def ours() -> list[NodeProcess]:
        return [p for p in find(state_dir) if nodes is None or p.node in nodes]

    _signal([p for p in ours() if p.is_leader], signal.SIGINT)
    left = _wait_gone(ours, seconds=10)
    if left:
        _signal(left, signal.SIGKILL)
        left = _wait_gone(ours, seconds=5)
    return left


def _signal(processes: Iterable[NodeProcess], number: signal.Signals) -> None:
    import psutil

    for found in processes:
        try:
            found.process.send_signal(number)  # checks the start time, not only the pid
        except psutil.Error:
            continue


def _wait_gone(
    ours: Callable[[], list[NodeProcess]], *, seconds: float
) -> list[NodeProcess]:
    """What is left after so many seconds, or soon after nobody is left to end it."""
    began = time.monotonic()
    while left := ours():
        waited = time.monotonic() - began
        has_leader = any(found.is_leader for found in left)
        if waited >= (seconds if has_leader else min(seconds, _LEADERLESS_SECONDS)):
            break
        time.sleep(0.05)
    return left
