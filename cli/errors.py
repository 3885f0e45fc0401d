"""The one place where an error becomes a message and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from raylift.errors import InputFailed, RayliftError

INTERRUPTED = 130


class Boundary(TyperGroup):
    """The command group: every RayliftError ends as a line, a hint and a code."""

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 typer's context is private
        """Run a command inside the boundary."""
        signal.signal(signal.SIGTERM, _as_interrupt)
        try:
            return super().invoke(ctx)
        except RayliftError as error:
            show(error)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            typer.echo("interrupted: safe to run again", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # `raylift status | head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None


def show(error: RayliftError) -> None:
    """Print an error: a line for each problem, then the hint."""
    problems = error.problems if isinstance(error, InputFailed) else [error]
    for problem in problems:
        typer.echo(f"error: {problem}", err=True)
    if error.hint:
        typer.echo(f" hint: {error.hint}", err=True)


def _as_interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
