"""Why a process of an application exited, from what it wrote last.

Ray only reports that a worker crashed. Its log names the application or the replica.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raylift.messages import printable
from raylift.redaction import without_tokens

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
_USAGE = "usage: default_worker.py"


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
        f"its process died: {printable(without_tokens(error), limit=300)}"
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
    last = next((line for line in reversed(lines) if line.strip()), "")
    if any(line.startswith(_USAGE) for line in lines):
        error = last.removeprefix("default_worker.py: error: ")
        short = printable(error, limit=80)
        return f"its code parses command-line arguments, here those of Ray: {short}"
    reason = _last_error(lines) or last or f"exit code {code or 'unknown'}"
    return printable(without_tokens(reason), limit=300)
