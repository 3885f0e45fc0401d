"""`raylift preview`: what `up` would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.connect import stack_here
from cli.output import stack as view
from cli.output import terminal
from infra.stack_file import warnings_of

if TYPE_CHECKING:
    from infra.stack import Change, Stack


def run(name: str, *, restart: bool, as_json: bool) -> None:
    """Show the changes."""
    stack = stack_here(name)
    changes = show_changes(stack, stack.preview(restart=restart), as_json=as_json)
    if not changes:
        terminal.say("nothing to do")


def show_changes(stack: Stack, changes: list[Change], *, as_json: bool) -> list[Change]:
    """A plan and what is doubtful about it."""
    for warning in warnings_of(stack.config) if changes else ():
        terminal.say(f"warning: {warning}")
    if as_json:
        terminal.print_json(view.changes_json(changes))
    else:
        view.show_stack_changes(changes)
    return changes
