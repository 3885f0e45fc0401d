"""Log lines of an application's replicas, merged by time."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from serve_runtime.status import applications_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serve_runtime.dashboard import Dashboard

_TEXT = re.compile(r"^([A-Z]+) (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (.*)$")
_HEADER = re.compile(r"^(\S+) (\S+) (?:(\S+) )?-- (.*)$")
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line; `time` is Ray's own text, which sorts; `source` app/deployment/id.

    `request_id` is that of the request it is about, or empty; `fields` are what else a
    line has where the application logs JSON.
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
    """The last lines of each replica that lives, merged by time.

    Args:
        dashboard: The cluster's.
        application: Its name; empty for all.
        deployment: Its name; empty for all.
        lines: How many of each replica.
    """
    found: list[LogLine] = []
    for file in _files(dashboard, application, deployment):
        tail = dashboard.log_tail(file.node_id, file.path, lines=lines)
        found += _parsed(tail, file.source)
    return sorted(found, key=lambda line: line.time)


def follow(
    dashboard: Dashboard, application: str, deployment: str, *, lines: int
) -> Iterator[LogLine]:
    """`read`, then new lines as they come, of new replicas too; never ends."""
    seen: dict[str, list[str]] = {}
    wanted = lines
    while True:
        fresh: list[LogLine] = []
        for file in _files(dashboard, application, deployment):
            tail = dashboard.log_tail(file.node_id, file.path, lines=max(wanted, 1000))
            new = _after(seen.get(file.path), tail, first=wanted)
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
    """What `now` has after the end of `before`, both being tails of one file."""
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
    found: list[LogLine] = []
    for line in lines:
        parsed = _parse(line, source)
        if parsed:
            found.append(parsed)
        elif found and line.strip():  # a traceback belongs to the line before it
            last = found[-1]
            found.append(LogLine(last.time, last.level, source, line, last.request_id))
    return found


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
