"""The terminal itself: streams, questions, JSON, and what all views share.

stdout carries data, stderr everything else. Off a terminal there is no colour and
no cursor movement, and a needed question is an error that names `--yes`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from typing import TYPE_CHECKING

import rich.box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from raylift.errors import InputFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

_WIDE = 200  # off a terminal nothing folds: a row is a line


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(stderr=stderr, highlight=False, soft_wrap=True, width=width)


out = _console(stderr=False)
err = _console(stderr=True)

COLOURS = {
    "RUNNING": "green", "HEALTHY": "green", "good": "green",
    "DEPLOYING": "yellow", "UPDATING": "yellow", "STARTING": "yellow",
    "UPSCALING": "yellow", "DOWNSCALING": "yellow", "STOPPING": "yellow",
    "DELETING": "yellow", "RECOVERING": "yellow", "DRAINING": "yellow",
    "DEPLOY_FAILED": "red", "UNHEALTHY": "red",
}  # fmt: skip
SIGNS = {
    "create": ("+", "green"), "start": ("+", "green"),
    "change": ("~", "yellow"), "restart": ("~", "yellow"),
    "delete": ("-", "red"), "stop": ("-", "red"),
    "replace": ("±", "bold red"),
    "unchanged": ("=", "dim"),
}  # fmt: skip


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    out.print(json.dumps(value, indent=2), markup=False)


def say(text: object) -> None:
    """A line about what is going on, on stderr."""
    err.print(escape(str(text)))


def say_json(told: object) -> None:
    """The same for a program: a line of JSON, with the parts of what has parts."""
    parts = {"message": told}
    if dataclasses.is_dataclass(told) and not isinstance(told, type):
        parts = dataclasses.asdict(told)
    err.print(json.dumps(parts), markup=False)


def show(text: str) -> None:
    """A line of result, on stdout."""
    out.print(escape(text))


def live(
    rows: Callable[[], RenderableType],
) -> contextlib.AbstractContextManager[object]:
    """Rows at the bottom of a terminal, drawn anew while a block runs; none off one."""
    if not err.is_terminal:
        return contextlib.nullcontext()
    from rich.live import Live

    return Live(console=err, transient=True, get_renderable=rows, refresh_per_second=4)


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
    from rich.prompt import Prompt

    typed = Prompt.ask(escape(f"{question} Type {answer} to go on"), console=err)
    if typed.strip() != answer:
        raise InputFailed.at("", "not confirmed; nothing was changed")


def state_text(state: str) -> Text:
    """A state in Ray's word and its colour."""
    return Text(state, style=COLOURS.get(state, ""))


def table(*columns: str) -> Table:
    """An empty table with a head."""
    made = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def plain_table() -> Table:
    """An empty table of keys and values."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="dim")
    made.add_column(overflow="fold")
    return made
