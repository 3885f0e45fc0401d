"""Timers of a wait: how long conditions last, and when to look again."""

from __future__ import annotations

import time


class Durations:
    """The durations for which conditions have been true."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}

    def lasts(self, key: tuple[str, str], holds: bool) -> float:  # noqa: FBT001
        """Return the seconds for which a condition has been true; 0 if it is false."""
        if not holds:
            self._since.pop(key, None)
            return 0.0
        since = self._since.setdefault(key, time.monotonic())
        return time.monotonic() - since


class Interval:
    """The pace of something that happens at most once per `seconds`."""

    def __init__(self, seconds: float = 1.0) -> None:
        self._seconds = seconds
        self._last = float("-inf")

    def is_due(self) -> bool:
        """Return whether the time has passed since this last returned true."""
        if time.monotonic() - self._last < self._seconds:
            return False
        self._last = time.monotonic()
        return True
