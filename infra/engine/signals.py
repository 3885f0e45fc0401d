"""Handling of Ctrl-C and SIGTERM while Pulumi's engine runs.

The first signal lets the engine complete its current operations, the second stops it.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """A context manager that counts interrupts instead of raising KeyboardInterrupt.

    The engine reacts to SIGINT itself. A terminal also sends Ctrl-C to the engine,
    because both are in one process group. SIGTERM only reaches this process and is
    forwarded as SIGINT.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.count = 0
        self._say = say
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Install the handlers."""
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the previous handlers."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            self._say(
                "finishing the current operations; press Ctrl-C again to stop now"
            )
        else:
            self._say("stopping now; the next run will check for orphaned resources")
        if number == signal.SIGTERM:
            for child in psutil.Process().children():
                child.send_signal(signal.SIGINT)
