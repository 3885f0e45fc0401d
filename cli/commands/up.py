"""`raylift up`: the stack as its file says, until Ray's head answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from cli.connect import stack_here
from cli.output import stack as view
from cli.output import terminal
from raylift.errors import CannotWork, Unreachable
from serve_runtime.dashboard import Dashboard

if TYPE_CHECKING:
    from infra.stack import Stack
    from raylift.outputs import StackOutputs

_READY_SECONDS = 150
_POLL_SECONDS = 0.05


def run(name: str, *, dry_run: bool, restart: bool, as_json: bool) -> None:
    """Show the changes, make them, wait, and say where the stack answers."""
    stack = stack_here(name)
    changes = stack.preview(restart=restart)
    if not as_json:
        view.show_stack_changes(changes)
    if dry_run:
        terminal.say("nothing to do" if not changes else "dry run: nothing was changed")
        return
    outputs = stack.up(progress=terminal.say, restart=restart)
    wait_until_ready(stack, outputs)
    if not changes:
        terminal.say("nothing to do")
    if as_json:
        terminal.print_json(view.outputs_json(outputs))
    else:
        view.show_outputs(outputs)


def wait_until_ready(stack: Stack, outputs: StackOutputs) -> None:
    """Wait until the dashboard answers and every node of the stack has joined.

    Raises:
        CannotWork: Ray ended meanwhile, with the reason from its log.
        Unreachable: it took too long.
    """
    deadline = time.monotonic() + _READY_SECONDS
    retried = False
    with Dashboard(outputs, timeout_s=5) as dashboard:
        while waiting_for := _waiting_for(dashboard, nodes=stack.node_count):
            if (reason := stack.why_dead()) and not retried:
                terminal.say(f"{reason}; starting it again")
                stack.up(progress=terminal.say)
                retried = True
            elif reason:
                raise CannotWork(
                    f"Ray ended while starting: {reason}",
                    hint="run the same command again",
                )
            if time.monotonic() >= deadline:
                raise Unreachable(
                    f"not ready after {_READY_SECONDS} s: {waiting_for}",
                    hint="run the same command again",
                )
            time.sleep(_POLL_SECONDS)


def _waiting_for(dashboard: Dashboard, *, nodes: int) -> str:
    """What is not there yet; empty once all is."""
    try:
        dashboard.version()
        joined = 1 if nodes == 1 else sum(node.alive for node in dashboard.nodes())
    except Unreachable as error:
        return str(error)
    return f"{joined} of {nodes} nodes have joined" if joined < nodes else ""
