"""Conversion of every error to messages and an exit code."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from raylift.cli import stdout
from raylift.cli.extras import missing_extra
from raylift.cli.stdout import OutputLost
from raylift.errors import InvalidInput, RayliftError
from raylift.messages import did_you_mean, printable

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130

# Patterns in typer's messages about a command line, and raylift's wording.
_REWORDED = (
    (r"no such command ('.*?')", r"unknown command \1"),
    (r"\. Did you mean ('.*')\?", r"; did you mean \1?"),
    (r"no such option: (\S+).*", r"unknown option '\1'"),
    (r"invalid value for (?:'\S+' / )?'(\S+)': ", r"\1: "),
    (r"Value error, ", ""),
    (r"Input should be", "must be"),
    (r"greater than or equal to", "at least"),
    (r"a valid integer.*", "an integer"),
    (r"a valid number.*", "a number"),
    (r"got unexpected extra argument\(s\) \((.*)\)", r"unexpected argument: \1"),
)


class Boundary(TyperGroup):
    """The command group, which turns a RayliftError into a message and an exit code."""

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: Any = None,  # noqa: ANN401 as below
        **extra: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Parse the options before the command."""
        is_empty = not args  # parsing removes them
        try:
            return super().make_context(info_name, args, parent, **extra)
        except TyperException as error:
            if is_empty:  # typer shows the help
                raise
            raise _usage(error) from None

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 typer's context is private
        """Run a command and report its errors."""
        signal.signal(signal.SIGTERM, _as_interrupt)
        try:
            return super().invoke(ctx)
        except TyperException as error:
            raise _usage(error) from None
        except RayliftError as error:
            show(error)
            raise typer.Exit(error.exit_code) from None
        except ModuleNotFoundError as error:
            missing = missing_extra(error)
            if missing is None:
                raise
            show(missing)
            raise typer.Exit(missing.exit_code) from None
        except KeyboardInterrupt:
            text = "interrupted; you can safely run the same command again"
            typer.echo(text, err=True)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:  # `raylift status | head`
            stdout.discard()
            raise typer.Exit(0) from None


def show(error: RayliftError) -> None:
    """Print an error: one line per problem, then the hint."""
    problems = error.problems if isinstance(error, InvalidInput) else [error]
    for problem in problems:
        # A name from a file or from Ray must not be able to forge a line.
        typer.echo(f"error: {printable(str(problem), limit=2000)}", err=True)
    if error.hint:
        typer.echo(f" hint: {error.hint}", err=True)


def run_process(command: Callable[[], object]) -> NoReturn:
    """Run a command, and exit with its code, whatever would prevent that."""
    stdout.install()
    code: Any = 0
    try:
        try:
            command()
        except SystemExit as ended:
            code = ended.code
        sys.stdout.flush()
    except BrokenPipeError:
        stdout.discard()
    except OutputLost as lost:
        stdout.discard()
        show(RayliftError(f"cannot write to stdout: {lost}"))
        code = code or RayliftError.exit_code
    _exit_at_once_if_needed(code)
    sys.exit(code)


def _exit_at_once_if_needed(code: object) -> None:
    """Exit without finalizers if a thread or a lock would keep the process alive.

    When Pulumi's engine fails early, the program's thread never stops polling it. An
    interrupt may leave the lock of a connection pool held, which the pool's finalizer
    would wait for.
    """
    others = (t for t in threading.enumerate() if t is not threading.main_thread())
    is_kept = any(not thread.daemon for thread in others)
    if is_kept or code == INTERRUPTED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(bool(code)))


def _usage(error: TyperException) -> typer.Exit:
    """Report typer's error about a command line in raylift's format."""
    text = error.format_message().rstrip(".")
    text = text[:1].lower() + text[1:]
    for theirs, ours in _REWORDED:
        text = re.sub(theirs, ours, text)
    if options := getattr(error, "possibilities", None):
        text += did_you_mean(error.option_name, options)  # type: ignore[attr-defined]
    errors = getattr(error.__cause__, "errors", None)  # of pydantic
    if errors and "must be" in text:
        text += f", not '{errors()[0]['input']}'"
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "raylift"
    hint = f"run `{command} --help`"
    show(InvalidInput.at("", text, hint=hint))
    return typer.Exit(error.exit_code)


def _as_interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
