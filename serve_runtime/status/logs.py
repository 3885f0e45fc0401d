"""Log lines of an application's replicas, merged by time."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raylift.serve_runtime.status.status import applications_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raylift.serve_runtime.ray_api.dashboard import Dashboard

_TEXT = re.compile(r"^([A-Z]+) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (.*)$")
_HEADER = re.compile(r"^(\S+) (\S+) (?:(\S+) )?-- (.*)$")
_POLL_SECONDS = 0.5
_TAIL_LINES = 1000  # read per poll, to avoid losing lines in a burst


@dataclass(frozen=True, slots=True)
class LogLine:
    """A log line.

    `time` is Ray's timestamp, which sorts as text. `source` is
    `application/deployment/replica`. `request_id` is empty outside a request. `fields`
    contains the additional fields of a JSON log line.
    """

    time: str
    level: str
    source: str
    text: str
    request_id: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _File:
    source: str
    node_id: str
    path: str


def read(
    dashboard: Dashboard, application: str, deployment: str, *, lines: int
) -> list[LogLine]:
    """Return the last log lines of all live replicas, sorted by time.

    Args:
        dashboard: The dashboard of the cluster.
        application: Name of the application; empty for all.
        deployment: Name of the deployment; empty for all.
        lines: Number of lines per replica.
    """
    merged: list[LogLine] = []
    for file in _files(dashboard, application, deployment):
        tail = dashboard.log_tail(file.node_id, file.path, lines=lines)
        merged += _parsed(tail, file.source)
    return sorted(merged, key=lambda line: line.time)


def follow(
    dashboard: Dashboard, application: str, deployment: str, *, lines: int
) -> Iterator[LogLine]:
    """Yield the lines of `read`, then new lines as they appear. Never returns.

    Replicas that start later are included.
    """
    seen: dict[str, list[str]] = {}
    while True:
        fresh: list[LogLine] = []
        for file in _files(dashboard, application, deployment):
            tail = dashboard.log_tail(
                file.node_id, file.path, lines=max(lines, _TAIL_LINES)
            )
            new = _after(seen.get(file.path), tail, first=lines)
            seen[file.path] = tail
            fresh += _parsed(new, file.source)
        yield from sorted(fresh, key=lambda line: line.time)
        time.sleep(_POLL_SECONDS)


def _files(dashboard: Dashboard, application: str, deployment: str) -> list[_File]:
    return [
        _File(f"{a.name}/{d.name}/{m.replica_id}", m.node_id, m.log_file)
        for a in applications_of(dashboard.serve_details())
        for d in a.deployments
        for m in d.members
        if application in ("", a.name)
        and deployment in ("", d.name)
        and m.node_id
        and m.log_file
    ]


def _after(before: list[str] | None, now: list[str], *, first: int) -> list[str]:
    """Return the lines that `now` adds to `before`; both are tails of one file."""
    if before is None:
        return now[-first:] if first else []
    if not before:
        return now
    for end in range(len(now), 0, -1):
        overlap = min(end, len(before))
        if now[end - overlap : end] == before[-overlap:]:
            return now[end:]
    return now


def _parsed(lines: list[str], source: str) -> list[LogLine]:
    parsed: list[LogLine] = []
    for line in lines:
        if log_line := _parse(line, source):
            parsed.append(log_line)
        elif parsed and line.strip():  # a traceback belongs to the line before it
            last = parsed[-1]
            parsed.append(LogLine(last.time, last.level, source, line, last.request_id))
    return parsed


def _parse(line: str, source: str) -> LogLine | None:
    if line.startswith("{"):
        try:
            item = json.loads(line)
            when, level = item.pop("asctime"), item.pop("levelname")
            text, request_id = item.pop("message"), item.pop("request_id", "")
            return LogLine(when, level, source, text, request_id, item)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None
    match = _TEXT.match(line)
    if not match:
        return None
    header = _HEADER.match(match[3])
    if not header:
        return LogLine(match[2], match[1], source, match[3])
    return LogLine(match[2], match[1], source, header[4], header[3] or "")
