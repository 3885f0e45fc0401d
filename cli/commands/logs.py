"""`raylift logs`: log lines of replicas, merged by time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raylift.cli.applications import find_applications
from raylift.cli.connect import cluster_of, find_serving
from raylift.cli.output import logs as view
from raylift.errors import InvalidInput
from raylift.messages import did_you_mean
from raylift.serve_runtime.status import logs

if TYPE_CHECKING:
    from raylift.serve_runtime.ray_api.dashboard import Dashboard


@dataclass(frozen=True, slots=True)
class Request:
    """The replicas to show, and the lines per replica; an empty name selects all."""

    application: str
    deployment: str
    follow: bool
    lines: int


def run(stack_name: str, request: Request, *, as_json: bool) -> None:
    """Print the log lines of replicas."""
    names = (request.application, request.deployment)
    with cluster_of(find_serving(stack_name), settled=False) as cluster:
        _check(cluster.dashboard, *names)
        reader = logs.follow if request.follow else logs.read
        for line in reader(cluster.dashboard, *names, lines=request.lines):
            view.show_log_line(line, as_json=as_json)


def _check(dashboard: Dashboard, application: str, deployment: str) -> None:
    """Raise InvalidInput if the application or its deployment does not exist."""
    found = find_applications(dashboard, application)
    if not application:
        return
    deployments = [d.name for d in found[application].deployments]
    if deployment and deployment not in deployments:
        near = did_you_mean(deployment, deployments)
        raise InvalidInput.at(
            "",
            f"deployment '{deployment}' of '{application}' not found{near}",
        )
