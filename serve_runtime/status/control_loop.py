"""Errors in Serve's control loop, which Ray writes only to its controller's log.

They keep Ray from updating the states of all applications. The usual cause is an
autoscaling policy that raises an exception.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raylift.serve_runtime.status.exceptions import explain
from raylift.serve_runtime.status.timers import Interval

if TYPE_CHECKING:
    from raylift.serve_runtime.ray_api.dashboard import Dashboard

_LINES = 300
_REFRESH_SECONDS = 1.0
_MARK = re.compile(r"Exception updating (application|deployment) state")
_NEXT = re.compile(r"^(INFO|WARNING|ERROR|DEBUG) \d{4}-")


class ControlLoop:
    """The log of Serve's control loop, read at most once per second."""

    def __init__(self, dashboard: Dashboard) -> None:
        self._dashboard = dashboard
        self._pace = Interval(_REFRESH_SECONDS)
        self._first: str | None = None
        self._error = ""

    def error(self) -> str:
        """Return the exception in the control loop, or "" if it does not recur.

        An exception that the log contained from the start may be an old one.
        """
        if not self._pace.is_due():
            return self._error
        mark, text = last_error(self._lines())
        if self._first is None:
            self._first = mark
        self._error = text if mark != self._first else ""
        return self._error

    def _lines(self) -> list[str]:
        controller = self._dashboard.serve_details().get("controller_info") or {}
        node, file = controller.get("node_id"), controller.get("log_file_path")
        if not (node and file):
            return []
        return self._dashboard.log_tail(node, file, lines=_LINES)


def last_error(lines: list[str]) -> tuple[str, str]:
    """Return the log line of the last exception and its explanation, or two ""."""
    starts = [index for index, line in enumerate(lines) if _MARK.search(line)]
    if not starts:
        return "", ""
    text = lines[starts[-1] + 1 :]
    end = next((i for i, line in enumerate(text) if _NEXT.match(line)), len(text))
    cause = explain("\n".join(text[:end]))
    return lines[starts[-1]], f"Serve's control loop fails: {cause}"
