"""`raylift logs`: lines of replicas, merged by time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cli.connect import cluster_of, stack_here
from cli.output import logs as view
from raylift.errors import InputFailed
from raylift.wording import did_you_mean
from serve_runtime import logs
from serve_runtime.status import applications_of

if TYPE_CHECKING:
    from serve_runtime.dashboard import Dashboard


def run(
    stack_name: str, source: tuple[str, str], *, follow: bool, lines: int, as_json: bool
) -> None:
    """Print the lines of one application, one deployment, or all."""
    with cluster_of(stack_here(stack_name), look=True) as cluster:
        _check(cluster.dashboard, *source)
        reader = logs.follow if follow else logs.read
        for line in reader(cluster.dashboard, *source, lines=lines):
            view.show_log_line(line, as_json=as_json)


def _check(dashboard: Dashboard, application: str, deployment: str) -> None:
    found = {a.name: a for a in applications_of(dashboard.serve_details())}
    if not application:
        return
    if application not in found:
        meant = did_you_mean(application, found)
        raise InputFailed.at("", f"no application '{application}'{meant}")
    names = [d.name for d in found[application].deployments]
    if deployment and deployment not in names:
        meant = did_you_mean(deployment, names)
        raise InputFailed.at(
            "", f"no deployment '{deployment}' in '{application}'{meant}"
        )
