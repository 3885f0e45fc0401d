"""The processes of a stack, identified by a variable in their environment.

All Ray processes inherit the variable. Unlike a file with PIDs, it cannot become stale
through a crash, a reboot or a reused PID, and it also identifies processes started by
an interrupted `raylift up`.
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
    """A process of a stack, and the node that it belongs to."""

    node: str
    process: psutil.Process

    @property
    def is_leader(self) -> bool:
        """Whether this is the node's `ray start --block`.

        When it exits, it stops the node's other processes.
        """
        import psutil

        try:
            pid: int = self.process.pid
            return os.getsid(pid) == pid and self.process.status() != "zombie"
        except (OSError, psutil.Error):
            return False


def find(state_dir: Path) -> list[NodeProcess]:
    """Return all running processes of the stack whose state is in `state_dir`."""
    import psutil  # a fifth of the time of `raylift status`, which rarely needs it

    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):  # it has exited, or belongs to another user
            continue
        if environment.get(STACK_MARK) == str(state_dir):
            found.append(NodeProcess(environment.get(NODE_MARK, ""), process))
    return found


def leaders(processes: Iterable[NodeProcess]) -> dict[str, float]:
    """Return the running nodes and their uptime in seconds."""
    now = time.time()
    return {
        process.node: now - process.process.create_time()
        for process in processes
        if process.is_leader
    }


def start(
    argv: list[str], *, environment: dict[str, str], cwd: Path, log: Path
) -> subprocess.Popen[bytes]:
    """Start a node in a new session, which Ctrl-C does not reach."""
    with log.open("wb") as stream:
        return subprocess.Popen(
            argv,
            env=environment,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
            # Processes that a shell starts with `&` ignore SIGINT, and their children
            # inherit that. SIGINT is the signal that stops `ray start --block` fastest.
            preexec_fn=_default_sigint,  # noqa: PLW1509 no threads run at this point
        )


def _default_sigint() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def stop(state_dir: Path, nodes: set[str] | None = None) -> list[NodeProcess]:
    """Stop the processes of these nodes, or of all; return those still running.

    SIGINT to the leaders stops Ray in about 2 s (SIGTERM: 32 s; measured with Ray
    2.60). Processes that are still running after 10 s receive SIGKILL.
    """

    def running() -> list[NodeProcess]:
        return [p for p in find(state_dir) if nodes is None or p.node in nodes]

    _signal([p for p in running() if p.is_leader], signal.SIGINT)
    remaining = _wait_until_ended(running, seconds=10)
    if remaining:
        _signal(remaining, signal.SIGKILL)
        remaining = _wait_until_ended(running, seconds=5)
    return remaining


def _signal(processes: Iterable[NodeProcess], number: signal.Signals) -> None:
    import psutil

    for each in processes:
        try:
            each.process.send_signal(number)  # compares the start time and the PID
        except psutil.Error:
            continue


def _wait_until_ended(
    running: Callable[[], list[NodeProcess]], *, seconds: float
) -> list[NodeProcess]:
    """Wait until all processes have exited; return those still running after `seconds`.

    If no leader is left to stop them, the wait is at most 3 s.
    """
    start = time.monotonic()
    while remaining := running():
        waited = time.monotonic() - start
        has_leader = any(process.is_leader for process in remaining)
        if waited >= (seconds if has_leader else min(seconds, _LEADERLESS_SECONDS)):
            break
        time.sleep(0.05)
    return remaining
