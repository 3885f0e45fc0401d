"""The output of `deploy` and `delete`: the plan, then progress."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING, Any, Self

from rich.console import Group
from rich.markup import escape
from rich.text import Text

from raylift.cli.output.status import replicas_text
from raylift.cli.output.terminal import COLORS, SIGNS, err, live, out
from raylift.messages import printable
from raylift.redaction import without_secrets

if TYPE_CHECKING:
    from raylift.serve_runtime.deploy.plan import Difference
    from raylift.serve_runtime.deploy.prepare import Prepared
    from raylift.serve_runtime.deploy.watch import Observation
    from raylift.serve_runtime.status.status import ApplicationStatus


def show_plan(prepared: Prepared) -> None:
    """Print the changes of a deploy by key, and the defaults that raylift adds."""
    for change in prepared.plan.changes:
        sign, color = SIGNS[change.action]
        out.print(Text(f"{sign} {change.action} {change.application}", style=color))
        for difference in change.differences:
            out.print(f"    {escape(difference.key)}: {_change(difference)}")
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
    """Return a plan as JSON. docs/reference/json.md describes the keys."""
    return {
        "version": 1,
        "changes": [dataclasses.asdict(change) for change in prepared.plan.changes],
        "defaults": [dataclasses.asdict(added) for added in prepared.added],
        "sent_bytes": prepared.sent_bytes,
    }


class Progress:
    """The progress of a deploy: a live display on a terminal, lines otherwise.

    With `verbose`, each message from Ray is shown in full.
    """

    def __init__(self, *, verbose: bool = False) -> None:
        self._verbose = verbose
        self._shown: set[tuple[str, str]] = set()
        self._open = contextlib.ExitStack()
        self._rows: list[Text] = []
        self._last: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._open.enter_context(live(lambda: Group(*self._rows)))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def __call__(self, observed: Observation) -> None:
        """Show a snapshot of the applications."""
        if self._verbose:
            self._show_messages(observed)
        self._rows = [_progress_line(each, observed) for each in observed.applications]
        if err.is_terminal:
            return
        for application, row in zip(observed.applications, self._rows, strict=True):
            if self._last.get(application.name) != row.plain:
                self._last[application.name] = row.plain
                err.print(f"{observed.seconds:6.1f} s  {escape(row.plain)}")

    def _show_messages(self, observed: Observation) -> None:
        for application in observed.applications:
            messages = [(application.name, application.message)]
            messages += [
                (f"{application.name}, {deployment.name}", deployment.message)
                for deployment in application.deployments
            ]
            for message in messages:
                if message[1] and message not in self._shown:
                    self._shown.add(message)
                    err.print(_full(*message))


def _full(name: str, message: str) -> Text:
    """Return a message without secrets, colors and control characters."""
    plain = Text.from_ansi("\n".join(message.splitlines())).plain
    lines = [
        "".join(c for c in line if c.isprintable())
        for line in without_secrets(plain.expandtabs()).splitlines()
    ]
    return Text("\n".join((f"{name}: message from Ray:", *lines)))


def _progress_line(application: ApplicationStatus, observed: Observation) -> Text:
    line = Text(f"{application.name} ")
    line.append(application.status, style=COLORS.get(application.status, ""))
    for deployment in application.deployments:
        line.append(f"  {deployment.name} {replicas_text(deployment)}")
    if cause := observed.causes.get(application.name):
        line.append(f"  {cause}", style="yellow")
    return line


def _change(difference: Difference) -> str:
    if difference.before == difference.after:
        return "changed"  # a secret
    return f"{_short(difference.before)} → {_short(difference.after)}"


def _short(value: object) -> str:
    if value is None:
        return "[dim]not set[/]"
    if isinstance(value, str) and value.startswith("file://"):
        return escape(value.rsplit("/", 1)[-1])
    return escape(printable(json.dumps(value, default=str), limit=200))
