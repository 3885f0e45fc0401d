"""The terminal: streams, prompts, JSON and shared formats.

Results go to stdout, everything else to stderr. Without a terminal there are no colors
and no cursor movement, and a prompt is an error that names `--yes`.
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

from raylift.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

_WIDE = 200  # without a terminal, a row is never wrapped


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Raise the error: `raylift status | head` succeeds."""
        raise BrokenPipeError


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return _Console(stderr=stderr, highlight=False, soft_wrap=True, width=width)


out = _console(stderr=False)
err = _console(stderr=True)

COLORS = {
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
    """Print a JSON document on stdout."""
    out.print(json.dumps(value, indent=2), markup=False)


def say(text: object) -> None:
    """Print a line of progress on stderr."""
    err.print(escape(str(text)))


def say_json(progress: object) -> None:
    """Print progress as a line of JSON: a dataclass by its fields, or a message."""
    fields = {"message": progress}
    if dataclasses.is_dataclass(progress) and not isinstance(progress, type):
        fields = dataclasses.asdict(progress)
    err.print(json.dumps(fields), markup=False)


def show(text: str) -> None:
    """Print a line of the result on stdout."""
    out.print(escape(text))


def live(
    rows: Callable[[], RenderableType],
) -> contextlib.AbstractContextManager[object]:
    """Show rows at the bottom of a terminal and redraw them while a block runs."""
    if not err.is_terminal:
        return contextlib.nullcontext()
    from rich.live import Live

    return Live(console=err, transient=True, get_renderable=rows, refresh_per_second=4)


def confirm(question: str, *, answer: str, yes: bool) -> None:
    """Prompt for `answer`; with `yes`, do nothing.

    Raises:
        InvalidInput: Something else was typed, or there is no terminal.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InvalidInput.at(
            "",
            "cannot prompt for confirmation: not a terminal",
            hint="pass --yes to skip the prompt",
        )
    from rich.prompt import Prompt

    typed = Prompt.ask(escape(f"{question} Type {answer} to confirm"), console=err)
    if typed.strip() != answer:
        raise InvalidInput.at("", "not confirmed: nothing was changed")


def state_text(state: str) -> Text:
    """Return a state of Ray in the color for it."""
    return Text(state, style=COLORS.get(state, ""))


def table(*columns: str) -> Table:
    """Return an empty table with a header."""
    result = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        result.add_column(column, overflow="fold")
    return result


def plain_table() -> Table:
    """Return an empty table of keys and values."""
    result = Table(box=None, show_header=False, pad_edge=False)
    result.add_column(style="dim")
    result.add_column(overflow="fold")
    return result
