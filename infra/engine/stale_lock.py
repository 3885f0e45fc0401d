"""The lock of a stack's state: who holds it, and releasing one whose holder is dead."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import psutil
from pulumi.automation.errors import CommandError

from raylift.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable

    from raylift.infra.stack import Say

T = TypeVar("T")

_LOCKED = re.compile(r"created by (\S+?)@(\S+) \(pid (\d+)\) at (\S+)")


def without_stale_lock(
    function: Callable[[], T], cancel: Callable[[], None], say: Say
) -> T:
    """Call a function; if a dead process holds the lock, cancel it and call again.

    Only processes of this machine can be known to be dead.
    """
    try:
        return function()
    except CommandError as error:
        holder = holder_of(str(error))
        if holder is None or not holder.is_dead():
            raise
    say(f"releasing the lock held by {holder}; that process has ended")
    cancel()
    return function()


def locked(stack: str, text: str) -> Conflict:
    """Return an error that names the holder of a stack's lock, if `text` does."""
    return Conflict(
        f"stack '{stack}' is locked by {holder_of(text) or 'another process'}",
        hint=f"if that run has ended, run `pulumi cancel --stack {stack}`",
    )


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds the lock of a stack; `since` is an ISO 8601 time."""

    user: str
    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        process = f"{self.user}@{self.host} (pid {self.pid})"
        return f"{process} since {self.since}{self._age()}"

    def is_dead(self) -> bool:
        """Return whether the holder is a process of this machine that has ended.

        A zombie has ended: PID 1 of a container may never wait for it.
        """
        if self.host != socket.gethostname():
            return False
        try:
            return psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def _age(self) -> str:
        try:
            start = datetime.fromisoformat(self.since)
        except ValueError:
            return ""
        return f" ({(datetime.now(UTC) - start).total_seconds() / 60:.0f} min ago)"


def holder_of(text: str) -> Holder | None:
    """Return the holder that Pulumi's error about a locked stack names.

    Source: pkg/backend/diy/lock.go in pulumi/pulumi.
    """
    match = _LOCKED.search(text)
    return Holder(match[1], match[2], int(match[3]), match[4]) if match else None
