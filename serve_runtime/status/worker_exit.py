"""Why a process of an application exited, from what it wrote last.

Ray only reports that a worker crashed. Its log names the application or the replica.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raylift.messages import printable
from raylift.redaction import without_secrets

if TYPE_CHECKING:
    from raylift.serve_runtime.ray_api.dashboard import CrashedWorker, Dashboard

CRASHED = "WorkerCrashedError"
DIED = "ActorDiedError"
_NEWEST = 8
_EXIT_CODE = re.compile(r"exits with an exit code (.+?)\.?$")
# Native code often writes a stack trace after the line that matters.
_ERROR = re.compile(
    r"(Fatal Python error|terminate called|what\(\)|[\w.]+(Error|Exception)\b): ?"
    r"|.*\b(CUDA error|[Oo]ut of memory)"
)
# What argparse, click, typer, absl and fire write about unknown arguments.
_ARGUMENTS = re.compile(
    r"usage: |no such option|unrecognized arguments|unknown command.line flag"
    r"|could not consume arg",
    re.IGNORECASE,
)
_ABOUT_ARGUMENTS = re.compile(
    r"error|no such option|unrecognized|unknown|could not consume", re.IGNORECASE
)
_BOX = " │╭╰─╮╯"  # which typer draws around an error


def import_exit(dashboard: Dashboard, application: str) -> str:
    """Return why the process exited that imported an application; "" if unknown."""
    worker, lines = _crash(
        dashboard, re.escape(f"Importing application '{application}'")
    )
    if worker is None:
        return ""
    code = _EXIT_CODE.search(worker.detail)
    reason = _reason(lines, code[1] if code else "")
    return f"the process exited while importing the application: {reason}"


def replica_exit(dashboard: Dashboard, application: str, deployment: str) -> str:
    """Return the error that a replica wrote before it died; "" if it wrote none."""
    marker = re.escape(f":actor_name:ServeReplica:{application}:{deployment}")
    _, lines = _crash(dashboard, f"{marker}$")
    error = _last_error(lines)
    return (
        f"its process died: {printable(without_secrets(error), limit=300)}"
        if error
        else ""
    )


def _crash(dashboard: Dashboard, start: str) -> tuple[CrashedWorker | None, list[str]]:
    """Return the newest crashed worker with this line in its log, and those after it.

    `start` is a regular expression.
    """
    for worker in dashboard.crashed_workers()[:_NEWEST]:
        lines = dashboard.worker_errors(worker.node_id, worker.worker_id)
        found = (i for i, line in enumerate(lines) if re.search(start, line.strip()))
        at = next(found, None)
        if at is not None:
            return worker, lines[at + 1 :]
    return None, []


def _last_error(lines: list[str]) -> str:
    errors = [line.strip() for line in lines if _ERROR.match(line.strip())]
    return errors[-1] if errors else ""


def _reason(lines: list[str], code: str) -> str:
    lines = [text for line in lines if (text := line.strip(_BOX))]
    last = lines[-1] if lines else ""
    if any(map(_ARGUMENTS.search, lines)):
        errors = [line for line in lines if _ABOUT_ARGUMENTS.search(line)] or [last]
        error = re.sub(r"^(.*: )?error: ", "", errors[-1], flags=re.IGNORECASE)
        short = printable(error, limit=80)
        return f"its code parses command-line arguments, here those of Ray: {short}"
    reason = _last_error(lines) or last or f"exit code {code or 'unknown'}"
    return printable(without_secrets(reason), limit=300)
