"""`raylift up`: create or update a stack, and wait until it is ready."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raylift.cli.commands.preview import show_warnings
from raylift.cli.connect import find_stack, local_cluster_of, local_stack
from raylift.cli.output import stack as view
from raylift.cli.output import terminal
from raylift.cli.output.deploy import Progress
from raylift.errors import FailedPrecondition, Unreachable
from raylift.serve_runtime.deploy.deploy import restore_applications
from raylift.serve_runtime.ray_api.dashboard import Dashboard
from raylift.serve_runtime.ray_api.loopback import Loopback

if TYPE_CHECKING:
    from collections.abc import Callable

    from raylift.infra.local.stack import LocalStack
    from raylift.infra.stack import Stack, StackChange
    from raylift.outputs import LocalOutputs, Outputs


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command."""

    restart: bool
    yes: bool
    as_json: bool


# Applies while Ray runs; if Ray exits, `why_dead` ends the wait.
_READY_SECONDS = 600
_SERVING_SECONDS = 300.0
_ANSWER_SECONDS = 30.0
_REPORT_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_POLL_SECONDS = 0.05
_DASHBOARD = "Ray's dashboard"


def run(name: str, options: Options) -> None:
    """Show the changes, apply them, and print the addresses of the stack."""
    stack = find_stack(name)
    stack.recover(progress=_say(options))
    changes = stack.preview(restart=options.restart)
    if not options.as_json:
        show_warnings(stack, changes)
        view.show_stack_changes(changes)
    local = local_stack(stack)
    outputs = (
        _start(local, changes, restart=options.restart)
        if local
        else _provision(stack, changes, options)
    )
    if not changes:
        terminal.say("nothing to do")
    if options.as_json:
        terminal.print_json(view.outputs_json(outputs))
    else:
        view.show_outputs(outputs)


def _start(stack: LocalStack, changes: list[StackChange], *, restart: bool) -> Outputs:
    """Start Ray on this machine and wait until its previous applications serve."""
    outputs = stack.up(progress=terminal.say, restart=restart)
    wait_until_ready(stack, outputs)
    restarted = any(change.what == "head" for change in changes)
    with local_cluster_of(stack) as cluster, Progress() as progress:
        restore_applications(
            cluster,
            restarted=restarted,
            timeout_s=_SERVING_SECONDS,
            on_change=progress,
        )
    return outputs


def _provision(stack: Stack, changes: list[StackChange], options: Options) -> Outputs:
    """Apply changes with Pulumi after a confirmation: resources may cost money."""
    if changes:
        count = "1 change" if len(changes) == 1 else f"{len(changes)} changes"
        question = f"This applies {count} to stack '{stack.name}'."
        terminal.confirm(question, answer=stack.name, yes=options.yes)
    with view.live_tree(stack.running_steps, changes):
        return stack.up(progress=_say(options), restart=options.restart)


def _say(options: Options) -> Callable[[object], None]:
    return terminal.say_json if options.as_json else terminal.say


def wait_until_ready(
    stack: LocalStack, outputs: LocalOutputs, *, retried: bool = False
) -> None:
    """Wait until the dashboard answers and every node of the stack has joined.

    Raises:
        FailedPrecondition: Ray exited while starting, with the reason.
        Unreachable: Ray runs, but was not ready within 10 min.
    """
    wait = _Wait()
    loopback = Loopback(outputs, on_wait=lambda _: wait.report(_DASHBOARD))
    with Dashboard(outputs, loopback, timeout_s=_ANSWER_SECONDS) as dashboard:
        while waiting_for := _waiting_for(dashboard, set(outputs.nodes)):
            if (reason := wait.why_dead(stack)) and not retried:
                terminal.say(f"{reason}; restarting it")
                wait_until_ready(stack, stack.up(progress=terminal.say), retried=True)
                return
            if reason:
                raise FailedPrecondition(
                    f"Ray exited while starting: {reason}",
                    hint="run the same command again",
                )
            if wait.seconds >= _READY_SECONDS:
                raise Unreachable(
                    f"stack '{outputs.stack}' is not ready after {_READY_SECONDS} s:"
                    f" waiting for {waiting_for}",
                    hint="run the same command again",
                )
            wait.report(waiting_for)
            time.sleep(_POLL_SECONDS)


class _Wait:
    """The elapsed time of a wait, and the checks that run at intervals during it."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._reported = self._looked = self._began

    @property
    def seconds(self) -> float:
        """Seconds since the wait began."""
        return time.monotonic() - self._began

    def report(self, waiting_for: str) -> None:
        """Report what `up` is waiting for, at most every 5 s."""
        if time.monotonic() - self._reported >= _REPORT_SECONDS:
            self._reported = time.monotonic()
            terminal.say(f"waiting for {waiting_for} ({self.seconds:.0f} s)")

    def why_dead(self, stack: LocalStack) -> str:
        """Return why a node exited, or "". Check at most once per second.

        To find the nodes, raylift reads the environment of every process.
        """
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return ""
        self._looked = time.monotonic()
        return stack.why_dead()


def _waiting_for(dashboard: Dashboard, expected: set[str]) -> str:
    """Return what is still missing, or ""."""
    try:
        dashboard.version()
        joined = {node.mark for node in dashboard.nodes()} if expected else set()
    except Unreachable:
        return _DASHBOARD
    missing = sorted(expected - joined)
    return f"nodes to join: {', '.join(missing)}" if missing else ""
