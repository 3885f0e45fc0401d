"""`raylift preview`: what `up` would change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylift.cli.connect import find_stack
from raylift.cli.output import stack as view
from raylift.cli.output import terminal
from raylift.infra.config.loader import warnings_of

if TYPE_CHECKING:
    from raylift.infra.stack import Stack, StackChange


def run(name: str, *, restart: bool, as_json: bool) -> None:
    """Show the changes."""
    stack = find_stack(name)
    changes = stack.preview(restart=restart)
    show_warnings(stack, changes)
    if as_json:
        terminal.print_json(view.changes_json(changes))
    else:
        view.show_stack_changes(changes)
    if not changes:
        terminal.say("nothing to do")


def show_warnings(stack: Stack, changes: list[StackChange]) -> None:
    """Print warnings about the stack file, if there are changes."""
    for warning in warnings_of(stack.config) if changes else ():
        terminal.say(f"warning: {warning}")
