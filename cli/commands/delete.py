"""`raylift delete`: applications, or a whole stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylift.cli.connect import cluster_of, find_serving, find_stack
from raylift.cli.output import deploy as view
from raylift.cli.output import terminal
from raylift.cli.output.stack import live_tree
from raylift.errors import RayliftError
from raylift.serve_runtime.deploy.canary import recover
from raylift.serve_runtime.deploy.deploy import delete
from raylift.serve_runtime.status.status import applications_of

if TYPE_CHECKING:
    from raylift.infra.stack import Stack

_DRAIN_SECONDS = 30.0


def run(stack_name: str, names: list[str], *, timeout_s: float, yes: bool) -> None:
    """Delete the named applications, or the stack if no names are given."""
    if names:
        _delete_applications(stack_name, names, timeout_s=timeout_s)
    else:
        _delete_stack(find_stack(stack_name), yes=yes)


def _delete_applications(stack: str, names: list[str], *, timeout_s: float) -> None:
    with (
        cluster_of(find_serving(stack), timeout_s=timeout_s) as cluster,
        view.Progress() as progress,
    ):
        recover(cluster, say=terminal.say)
        deleted = delete(cluster, names, timeout_s=timeout_s, on_change=progress)
    for name in names:
        missing = f"application '{name}' not found"
        terminal.show(f"deleted {name}" if name in deleted else missing)


def _delete_stack(stack: Stack, *, yes: bool) -> None:
    exists = stack.check_deletable()  # before anything is drained
    running = _applications(stack)
    if exists:
        terminal.confirm(_question(stack.name, running), answer=stack.name, yes=yes)
    if running:
        _drain(stack, running)
    with live_tree(stack.running_steps):
        existed = stack.destroy(progress=terminal.say)
    result = f"deleted stack '{stack.name}'" if existed else "nothing to delete"
    terminal.show(f"{result}: {stack.after_destroy}")


def _question(name: str, running: list[str]) -> str:
    applications = f" and its applications ({', '.join(running)})" if running else ""
    return f"This deletes stack '{name}'{applications}."


def _applications(stack: Stack) -> list[str]:
    try:
        with cluster_of(stack, settled=False) as cluster:
            return [a.name for a in applications_of(cluster.dashboard.serve_details())]
    except RayliftError:  # not up, or broken: nothing to drain
        return []


def _drain(stack: Stack, names: list[str]) -> None:
    """Let running requests finish. A failure must not prevent the deletion."""
    terminal.say(f"draining {', '.join(names)}")
    try:
        with cluster_of(stack, settled=False) as cluster:
            delete(cluster, names, timeout_s=_DRAIN_SECONDS, on_change=lambda _: None)
    except RayliftError as error:
        terminal.say(f"warning: cannot drain {', '.join(names)}: {error}")
