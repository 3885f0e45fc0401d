"""`raylift up`: the stack as its file says, until Ray's head answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from cli.commands.preview import show_changes
from cli.connect import local_cluster_of, stack_here
from cli.output import stack as view
from cli.output import terminal
from cli.output.deploy import Progress
from infra.local.stack import LocalStack
from raylift.errors import CannotWork, Unreachable
from serve_runtime.dashboard import Dashboard
from serve_runtime.deploy import settle
from serve_runtime.direct import Direct

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.engine import PulumiStack
    from infra.stack import Change
    from raylift.outputs import ClusterOutputs, StackOutputs


@dataclass(frozen=True, slots=True)
class Options:
    """What a command line asks of `up`."""

    dry_run: bool
    restart: bool
    yes: bool
    as_json: bool


_READY_SECONDS = 150
_SERVING_SECONDS = 300.0
_POLL_SECONDS = 0.05


def run(name: str, options: Options) -> None:
    """Show the changes, make them, wait, and say where the stack answers."""
    stack = stack_here(name)
    if not (options.dry_run or isinstance(stack, LocalStack)):
        # Before the plan: it tells what changes after that.
        cast("PulumiStack", stack).finish(progress=_say(options))
    changes = stack.preview(restart=options.restart)
    if options.dry_run or not options.as_json:
        show_changes(stack, changes, as_json=options.as_json)
    if options.dry_run:
        terminal.say("nothing to do" if not changes else "dry run: nothing was changed")
        return
    outputs: StackOutputs | ClusterOutputs
    if isinstance(stack, LocalStack):
        outputs = _start(stack, changes, restart=options.restart)
    else:
        outputs = _provision(cast("PulumiStack", stack), changes, options)
    if not changes:
        terminal.say("nothing to do")
    if options.as_json:
        terminal.print_json(view.outputs_json(outputs))
    else:
        view.show_outputs(outputs)


def _start(stack: LocalStack, changes: list[Change], *, restart: bool) -> StackOutputs:
    """Ray on this machine, until every application that it had runs again."""
    outputs = stack.up(progress=terminal.say, restart=restart)
    wait_until_ready(stack, outputs)
    restarted = any(change.what == "head" for change in changes)
    with local_cluster_of(stack) as cluster, Progress() as progress:
        settle(
            cluster,
            restarted=restarted,
            timeout_s=_SERVING_SECONDS,
            on_change=progress,
        )
    return outputs


def _provision(
    stack: PulumiStack, changes: list[Change], options: Options
) -> StackOutputs | ClusterOutputs:
    """What Pulumi makes may cost money: it is asked for first."""
    if changes:
        question = f"This makes {len(changes)} changes to stack '{stack.name}'."
        terminal.confirm(question, answer=stack.name, yes=options.yes)
    with view.live_tree(stack.working, changes):
        return stack.up(progress=_say(options), restart=options.restart)


def _say(options: Options) -> Callable[[object], None]:
    return terminal.say_json if options.as_json else terminal.say


def wait_until_ready(
    stack: LocalStack, outputs: StackOutputs, *, retried: bool = False
) -> None:
    """Wait until the dashboard answers and every node of the stack has joined.

    Raises:
        CannotWork: Ray ended meanwhile, with the reason from its log.
        Unreachable: it took too long.
    """
    deadline = time.monotonic() + _READY_SECONDS
    with Dashboard(outputs, Direct(outputs), timeout_s=5) as dashboard:
        while waiting_for := _waiting_for(dashboard, set(outputs.nodes)):
            if (reason := stack.why_dead()) and not retried:
                terminal.say(f"{reason}; starting it again")
                wait_until_ready(stack, stack.up(progress=terminal.say), retried=True)
                return
            if reason:
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


def _waiting_for(dashboard: Dashboard, expected: set[str]) -> str:
    """What is not there yet; empty once all is."""
    try:
        dashboard.version()
        joined = {node.mark for node in dashboard.nodes()} if expected else set()
    except Unreachable as error:
        return str(error)
    missing = sorted(expected - joined)
    return f"not joined yet: {', '.join(missing)}" if missing else ""
