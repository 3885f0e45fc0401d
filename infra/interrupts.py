"""Ctrl-C while Pulumi's engine works: once to end in order, twice to end at once."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any, Self

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Counts interrupts instead of raising; the engine is told of each by itself.

    A terminal sends Ctrl-C to the engine too, as it is of the same group. A signal for
    this process alone is passed on.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.count = 0
        self._say = say
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals over."""
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._on)
        return self

    def __exit__(self, *_: object) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on(self, number: int, _: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            self._say("finishing what was begun; interrupt again to end at once")
        else:
            self._say("ending at once: the next run has to look at what was begun")
        if number == signal.SIGTERM:
            for child in psutil.Process().children():
                child.send_signal(signal.SIGINT)
