"""`raylift delete`: applications, or the stack and everything of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from cli.connect import cluster_of, stack_here
from cli.output import deploy as view
from cli.output import terminal
from cli.output.stack import live_tree
from infra.local.stack import LocalStack
from raylift.errors import RayliftError
from serve_runtime.canary import recover
from serve_runtime.deploy import delete
from serve_runtime.status import applications_of

if TYPE_CHECKING:
    from infra.engine import PulumiStack
    from infra.stack import Stack

_DRAIN_SECONDS = 30.0
_NOTHING = "no process, no port and no file of it is left"


def run(stack_name: str, names: list[str], *, timeout_s: float, yes: bool) -> None:
    """Delete the named applications; without names, the stack."""
    stack = stack_here(stack_name)
    if names:
        _delete_applications(stack, names, timeout_s=timeout_s)
    else:
        _delete_stack(stack, yes=yes)


def _delete_applications(stack: Stack, names: list[str], *, timeout_s: float) -> None:
    with cluster_of(stack) as cluster, view.Progress() as progress:
        recover(cluster, say=terminal.say)
        gone = delete(cluster, names, timeout_s=timeout_s, on_change=progress)
    for name in names:
        terminal.show(f"{name} is deleted" if name in gone else f"{name} was not there")


def _delete_stack(stack: Stack, *, yes: bool) -> None:
    if not isinstance(stack, LocalStack):
        cast("PulumiStack", stack).may_go()  # before anything is drained
    running = _applications(stack)
    if stack.exists():
        what = f" with {', '.join(running)}" if running else ""
        terminal.confirm(
            f"This ends stack '{stack.name}'{what}.", answer=stack.name, yes=yes
        )
    if running:
        _drain(stack, running)
    if isinstance(stack, LocalStack):
        existed = stack.destroy(progress=terminal.say)
    else:
        with live_tree(cast("PulumiStack", stack).working):
            existed = stack.destroy(progress=terminal.say)
    left = _NOTHING if isinstance(stack, LocalStack) else "its state is empty"
    terminal.show(
        f"stack '{stack.name}' is gone: {left}"
        if existed
        else f"nothing to delete: {left}"
    )


def _applications(stack: Stack) -> list[str]:
    try:
        with cluster_of(stack, look=True) as cluster:
            return [a.name for a in applications_of(cluster.dashboard.serve_details())]
    except RayliftError:  # not up, or broken: there is nothing to drain
        return []


def _drain(stack: Stack, names: list[str]) -> None:
    """Let requests in flight finish; what goes wrong here must not keep the stack."""
    terminal.say(f"draining {', '.join(names)}")
    try:
        with cluster_of(stack, look=True) as cluster:
            delete(cluster, names, timeout_s=_DRAIN_SECONDS, on_change=lambda _: None)
    except RayliftError as error:
        terminal.say(f"not drained: {error}")
