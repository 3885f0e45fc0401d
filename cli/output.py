"""The terminal: tables, live view, JSON. The only importer of rich.

stdout carries data, stderr everything else. Off a terminal there is no colour and
no cursor movement, and a needed question is an error that names `--yes`.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Self

import rich.box
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.prompt import Prompt
from rich.table import Table
from rich.text import Text

from raylift.errors import InputFailed
from raylift.wording import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.stack import Change as StackChange
    from raylift.outputs import StackOutputs
    from serve_runtime.deploy import Prepared
    from serve_runtime.logs import LogLine
    from serve_runtime.plan import Change
    from serve_runtime.status import ApplicationStatus, ClusterStatus, DeploymentStatus
    from serve_runtime.watch import Seen

_WIDE = 200  # off a terminal nothing folds: a row is a line


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=width)


out = _console(stderr=False)
err = _console(stderr=True)

_COLOURS = {
    "RUNNING": "green", "HEALTHY": "green", "good": "green",
    "DEPLOYING": "yellow", "UPDATING": "yellow", "STARTING": "yellow",
    "UPSCALING": "yellow", "DOWNSCALING": "yellow", "STOPPING": "yellow",
    "DELETING": "yellow", "RECOVERING": "yellow", "DRAINING": "yellow",
    "DEPLOY_FAILED": "red", "UNHEALTHY": "red",
}  # fmt: skip
_SIGNS = {
    "create": ("+", "green"), "start": ("+", "green"),
    "change": ("~", "yellow"), "restart": ("~", "yellow"),
    "delete": ("-", "red"), "stop": ("-", "red"),
    "unchanged": ("=", "dim"),
}  # fmt: skip


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    out.print(json.dumps(value, indent=2), markup=False)


def say(text: str) -> None:
    """A line about what is going on, on stderr."""
    err.print(escape(text))


def show(text: str) -> None:
    """A line of result, on stdout."""
    out.print(escape(text))


def confirm(question: str, *, answer: str, yes: bool) -> None:
    """Go on only after `answer` was typed.

    Raises:
        InputFailed: somebody typed otherwise, or nobody can be asked.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputFailed.at(
            "", "nobody to ask: not a terminal", hint="add --yes to go on unasked"
        )
    typed = Prompt.ask(escape(f"{question} Type {answer} to go on"), console=err)
    if typed.strip() != answer:
        raise InputFailed.at("", "not confirmed; nothing was changed")


# -- up ----------------------------------------------------------------------


def show_stack_changes(changes: Iterable[StackChange]) -> None:
    """What `up` does to nodes."""
    for change in changes:
        sign, colour = _SIGNS[change.action]
        reason = f"  ({change.reason})" if change.reason else ""
        line = f"{sign} {change.action} node {change.what}{reason}"
        out.print(Text(line, style=colour))


def show_outputs(outputs: StackOutputs) -> None:
    """Where a stack answers."""
    table = _plain_table()
    table.add_row("stack", outputs.stack)
    table.add_row("applications", outputs.serve_url)
    table.add_row("dashboard", f"{outputs.dashboard_url} (token on)")
    table.add_row("Ray", f"{outputs.ray_version}, ingress {outputs.ingress}")
    out.print(table)


def outputs_json(outputs: StackOutputs) -> dict[str, Any]:
    """StackOutputs without its token."""
    return {
        "version": 1,
        "stack": outputs.stack,
        "target": outputs.target,
        "serve_url": outputs.serve_url,
        "dashboard_url": outputs.dashboard_url,
        "ray_version": outputs.ray_version,
        "ingress": outputs.ingress,
    }


# -- deploy ------------------------------------------------------------------


def show_plan(prepared: Prepared) -> None:
    """What a deploy changes, key by key, and the defaults that raylift adds."""
    for change in prepared.plan.changes:
        sign, colour = _SIGNS[change.action]
        out.print(Text(f"{sign} {change.action} {change.application}", style=colour))
        for difference in change.differences:
            before, after = _short(difference.before), _short(difference.after)
            out.print(f"    {escape(difference.key)}: {before} → {after}")
    new = {c.application for c in prepared.plan.changes if c.action == "create"}
    for added in prepared.added:
        if added.application in new:
            out.print(
                f"    [dim]default[/] {escape(added.deployment)}.{added.setting}:"
                f" {_short(added.value)} [dim]({added.reason})[/]"
            )


def plan_json(prepared: Prepared) -> dict[str, Any]:
    """A plan for machines; the shape is in docs/deploy.md."""
    return {
        "version": 1,
        "changes": [_change_json(change) for change in prepared.plan.changes],
        "defaults": [
            {
                "application": added.application,
                "deployment": added.deployment,
                "setting": added.setting,
                "value": added.value,
                "reason": added.reason,
            }
            for added in prepared.added
        ],
        "sent_bytes": prepared.sent_bytes,
    }


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "application": change.application,
        "action": change.action,
        "differences": [
            {"key": d.key, "before": d.before, "after": d.after}
            for d in change.differences
        ],
    }


class Progress:
    """Live progress of a deploy: a view on a terminal, lines elsewhere."""

    def __init__(self) -> None:
        self._live = Live(console=err, transient=True) if err.is_terminal else None
        self._last: dict[str, str] = {}

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def __call__(self, seen: Seen) -> None:
        """Show one look at the applications."""
        if self._live:
            rows = [_progress_line(a, seen) for a in seen.applications]
            self._live.update(Group(*rows))
            return
        for application in seen.applications:
            line = _progress_line(application, seen).plain
            if self._last.get(application.name) != line:
                self._last[application.name] = line
                err.print(f"{seen.seconds:6.1f} s  {escape(line)}")


def _progress_line(application: ApplicationStatus, seen: Seen) -> Text:
    line = Text(f"{application.name} ")
    line.append(application.status, style=_COLOURS.get(application.status, ""))
    for deployment in application.deployments:
        line.append(f"  {deployment.name} {_replicas(deployment)}")
    if cause := seen.causes.get(application.name):
        line.append(f"  {cause}", style="yellow")
    return line


# -- status ------------------------------------------------------------------


def show_status(status: ClusterStatus) -> None:
    """A stack's status as tables."""
    out.print(status_view(status))


def status_view(status: ClusterStatus) -> Group:
    """A stack's status as something rich can draw again and again."""
    head = Text(f"stack {status.stack}  Ray {status.ray_version}  {status.serve_url} ")
    head.append(
        "answers" if status.answering else "does not answer",
        style="green" if status.answering else "red" if status.applications else "dim",
    )
    parts: list[Any] = [head, Text(), _nodes_table(status), Text()]
    if status.applications:
        parts.append(_applications_table(status))
    else:
        parts.append(Text("no applications; raylift deploy", style="dim"))
    parts += [Text(f"! {problem}", style="red") for problem in status.problems]
    return Group(*parts)


def watch_status(looks: Iterable[ClusterStatus]) -> None:
    """Draw each look over the last; lines off a terminal."""
    if not out.is_terminal:
        for look in looks:
            show_status(look)
        return
    with Live(console=out, auto_refresh=False, screen=False) as live:
        for look in looks:
            live.update(status_view(look), refresh=True)


def _nodes_table(status: ClusterStatus) -> Table:
    table = _table("node", "resources", "labels", "proxy")
    for node in (node for node in status.nodes if node.alive):
        resources = {
            key: value
            for key, value in sorted(node.resources.items())
            if not key.startswith("node:") and key != "object_store_memory"
        }
        labels = {k: v for k, v in node.labels.items() if not k.startswith("ray.io/")}
        table.add_row(
            f"{node.node_id[:8]}{' (head)' if node.is_head else ''}",
            ", ".join(f"{k} {_amount(k, v)}" for k, v in resources.items()),
            ", ".join(f"{k}={v}" for k, v in sorted(labels.items())),
            _state(status.proxies.get(node.node_id, "")),
        )
    return table


def _applications_table(status: ClusterStatus) -> Table:
    table = _table("application", "route", "status", "deployment", "replicas")
    for a in status.applications:
        first = (a.name, a.route_prefix or "none", _state(a.status))
        rows = [(d.name, _replicas(d)) for d in a.deployments] or [("", "")]
        for index, row in enumerate(rows):
            table.add_row(*(first if index == 0 else ("", "", "")), *row)
        if a.message and a.status != "RUNNING":
            from serve_runtime.diagnosis import explain

            table.add_row("", "", Text(explain(a.message), style="red"), "", "")
    return table


def status_json(status: ClusterStatus) -> dict[str, Any]:
    """A status for machines; the shape is in docs/status.md."""
    return {
        "version": 1,
        "stack": status.stack,
        "healthy": not status.problems,
        "problems": status.problems,
        "ray_version": status.ray_version,
        "serve_url": status.serve_url,
        "answering": status.answering,
        "nodes": [
            {
                "node_id": n.node_id,
                "head": n.is_head,
                "alive": n.alive,
                "resources": n.resources,
                "labels": n.labels,
                "proxy": status.proxies.get(n.node_id),
            }
            for n in status.nodes
        ],
        "applications": [_application_json(a) for a in status.applications],
        "unfinished_releases": [
            {
                "number": r.number,
                "author": r.author,
                "applications": sorted(r.documents),
            }
            for r in status.unfinished
        ],
    }


def _application_json(application: ApplicationStatus) -> dict[str, Any]:
    return {
        "name": application.name,
        "status": application.status,
        "message": application.message,
        "route_prefix": application.route_prefix,
        "deployments": [
            {
                "name": d.name,
                "status": d.status,
                "message": d.message,
                "target_replicas": d.target,
                "replicas": [
                    {
                        "id": m.replica_id,
                        "state": m.state,
                        "node_id": m.node_id,
                        "pid": m.pid,
                    }
                    for m in d.members
                ],
            }
            for d in application.deployments
        ],
    }


# -- logs --------------------------------------------------------------------


def show_log_line(line: LogLine, *, as_json: bool) -> None:
    """One log line, with the replica it came from."""
    if as_json:
        record = {
            "time": line.time,
            "level": line.level,
            "source": line.source,
            "text": line.text,
        }
        out.print(json.dumps(record), markup=False)
        return
    text = Text(f"{line.time} ")
    text.append(f"{line.source} ", style="cyan")
    text.append(line.text, style="red" if line.level == "ERROR" else "")
    out.print(text)


# -- shared ------------------------------------------------------------------


def _state(state: str) -> Text:
    return Text(state, style=_COLOURS.get(state, ""))


def _replicas(deployment: DeploymentStatus) -> str:
    counts = " ".join(f"{n} {s}" for s, n in sorted(deployment.replicas.items()))
    running = deployment.replicas.get("RUNNING", 0)
    if running == deployment.target and len(deployment.replicas) <= 1:
        return f"{running} RUNNING"
    return f"{counts or 'none'} of {deployment.target}"


def _amount(resource: str, value: float) -> str:
    return f"{value / (1 << 30):.1f} GiB" if "memory" in resource else f"{value:g}"


def _short(value: object) -> str:
    if value is None:
        return "[dim]not set[/]"
    if isinstance(value, str) and value.startswith("file://"):
        return escape(value.rsplit("/", 1)[-1])
    return escape(printable(json.dumps(value, default=str), limit=200))


def _table(*columns: str) -> Table:
    table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _plain_table() -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    return table
