"""What `deploy` and `delete` show: the plan, then progress."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, Self

from rich.console import Group
from rich.markup import escape
from rich.text import Text

from cli.output.status import replicas_text
from cli.output.terminal import COLOURS, SIGNS, err, live, out
from raylift.wording import printable

if TYPE_CHECKING:
    from serve_runtime.plan import Change
    from serve_runtime.prepare import Prepared
    from serve_runtime.status import ApplicationStatus
    from serve_runtime.watch import Seen


def show_plan(prepared: Prepared) -> None:
    """What a deploy changes, key by key, and the defaults that raylift adds."""
    for change in prepared.plan.changes:
        sign, colour = SIGNS[change.action]
        out.print(Text(f"{sign} {change.action} {change.application}", style=colour))
        for difference in change.differences:
            before, after = _short(difference.before), _short(difference.after)
            out.print(f"    {escape(difference.key)}: {before} → {after}")
        if change.action == "create":
            _show_defaults(prepared, change.application)


def _show_defaults(prepared: Prepared, application: str) -> None:
    for added in prepared.added:
        if added.application == application:
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
        self._open = contextlib.ExitStack()
        self._rows: list[Text] = []
        self._last: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._open.enter_context(live(lambda: Group(*self._rows)))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __call__(self, seen: Seen) -> None:
        """Show one look at the applications."""
        self._rows = [_progress_line(each, seen) for each in seen.applications]
        if err.is_terminal:
            return
        for application, row in zip(seen.applications, self._rows, strict=True):
            if self._last.get(application.name) != row.plain:
                self._last[application.name] = row.plain
                err.print(f"{seen.seconds:6.1f} s  {escape(row.plain)}")


def _progress_line(application: ApplicationStatus, seen: Seen) -> Text:
    line = Text(f"{application.name} ")
    line.append(application.status, style=COLOURS.get(application.status, ""))
    for deployment in application.deployments:
        line.append(f"  {deployment.name} {replicas_text(deployment)}")
    if cause := seen.causes.get(application.name):
        line.append(f"  {cause}", style="yellow")
    return line


def _short(value: object) -> str:
    if value is None:
        return "[dim]not set[/]"
    if isinstance(value, str) and value.startswith("file://"):
        return escape(value.rsplit("/", 1)[-1])
    return escape(printable(json.dumps(value, default=str), limit=200))
