"""The one place where an error becomes a message and an exit code."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from raylift.errors import InputFailed, RayliftError
from raylift.wording import printable

INTERRUPTED = 130


class Boundary(TyperGroup):
    """The command group: every RayliftError ends as a line, a hint and a code."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: Any = None,  # noqa: ANN401 as below
        **extra: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Read the options that stand before a command."""
        is_empty = not args  # reading them takes them away
        try:
            return super().make_context(info_name, args, parent, **extra)
        except TyperException as error:
            if is_empty:  # then typer shows the help
                raise
            raise _usage(error) from None

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 typer's context is private
        """Run a command inside the boundary."""
        signal.signal(signal.SIGTERM, _as_interrupt)
        try:
            return super().invoke(ctx)
        except TyperException as error:
            raise _usage(error) from None
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
        # A name from a file or from Ray must not forge a line of its own.
        typer.echo(f"error: {printable(str(problem), limit=2000)}", err=True)
    if error.hint:
        typer.echo(f" hint: {error.hint}", err=True)


def _usage(error: TyperException) -> typer.Exit:
    """Show typer's word about a command line as any other error of ours."""
    said = error.format_message().replace("Input should be", "must be").rstrip(".")
    said = said.partition(", unable to parse")[0]
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "raylift"
    show(InputFailed.at("", said[:1].lower() + said[1:], hint=f"{command} --help"))
    return typer.Exit(error.exit_code)


def _as_interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
