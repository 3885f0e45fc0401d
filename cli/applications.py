"""Lookup of the running applications of a stack, for commands that name one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylift.errors import InvalidInput
from raylift.messages import did_you_mean
from raylift.serve_runtime.status.status import applications_of

if TYPE_CHECKING:
    from raylift.serve_runtime.ray_api.dashboard import Dashboard
    from raylift.serve_runtime.status.status import ApplicationStatus


def find_applications(
    dashboard: Dashboard, wanted: str
) -> dict[str, ApplicationStatus]:
    """Return the running applications by name: the wanted one, or all if it is "".

    Raises:
        InvalidInput: The wanted application does not exist.
    """
    running = {a.name: a for a in applications_of(dashboard.serve_details())}
    if not wanted:
        return running
    if wanted not in running:
        near = did_you_mean(wanted, running)
        raise InvalidInput.at("", f"application '{wanted}' not found{near}")
    return {wanted: running[wanted]}
