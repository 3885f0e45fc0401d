"""Diagnosis of problems of a cluster and of failed applications, one line each."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from raylift.serve_runtime.status.capacity import missing
from raylift.serve_runtime.status.exceptions import explain, without_package

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from raylift.serve_runtime.ray_api.dashboard import RayNode
    from raylift.serve_runtime.status.status import (
        ApplicationStatus,
        ClusterStatus,
        DeploymentStatus,
    )

_STACK_FRAME = re.compile(r"^\s+(\S+) \((.+?):(\d+)\)")
# A warning of Ray. Once it is the message of a deployment, no other cause replaces it.
_SLOW = re.compile(r"have taken more than (\d+)s to (be scheduled|initialize)")
_WORKING_PROXY = ("HEALTHY", "STARTING", "DRAINING", "DRAINED")


def diagnose(status: ClusterStatus) -> ClusterStatus:
    """Return the status with its problems, which are empty for a healthy stack."""
    problems = (
        *(f"node {name} does not respond" for name in status.missing_nodes),
        *_application_problems(status),
        *_data_plane_problems(status),
        *(
            f"release {release.number} by {release.author} was interrupted"
            for release in status.unfinished
        ),
    )
    return replace(status, problems=problems)


def _application_problems(status: ClusterStatus) -> Iterator[str]:
    for application in status.applications:
        if application.status != "RUNNING":
            cause = why(application, status.nodes) or slow_start(application)
            suffix = f": {cause}" if cause else ""
            yield f"application '{application.name}' is {application.status}{suffix}"


def _data_plane_problems(status: ClusterStatus) -> Iterator[str]:
    if status.answering:
        for application in status.applications:
            if _is_unrouted(application, status.routed):
                name = application.name
                yield f"application '{name}' is not routed at {status.serve_url}"
    elif status.applications:
        yield f"Serve does not respond at {status.serve_url}"
    for node, state in status.proxies.items():
        if state not in _WORKING_PROXY:
            yield f"the proxy on node {node[:8]} is {state}"


def _is_unrouted(application: ApplicationStatus, routed: frozenset[str]) -> bool:
    return (
        application.status == "RUNNING"
        and application.route_prefix is not None
        and application.name not in routed
    )


def why(
    application: ApplicationStatus,
    nodes: Iterable[RayNode],
    potential: Iterable[RayNode] = (),
) -> str:
    """Return why an application is not running, or "" if no cause is known.

    `potential` holds the nodes that an autoscaler can add.
    """
    for deployment in application.deployments:
        if cause := _deployment(deployment, nodes, potential):
            return f"{deployment.name}: {cause}"
    # The message of the application explains a failed build. For failed replicas, it
    # only contains the names of the deployments.
    return explain(application.message) if application.message else ""


def _deployment(
    deployment: DeploymentStatus, nodes: Iterable[RayNode], potential: Iterable[RayNode]
) -> str:
    if "exception" in deployment.message or "Traceback" in deployment.message:
        return explain(deployment.message)
    starting = deployment.replicas.get("STARTING", 0)
    if (
        starting
        and deployment.unplaced
        and (reason := missing(deployment.needs, nodes, potential))
    ):
        return f"no node can hold a replica: {reason}"
    known = deployment.message and not _SLOW.search(deployment.message)
    return explain(deployment.message) if known else ""


def slow_start(application: ApplicationStatus) -> str:
    """Return how long a replica has been starting, or "" if that is not unusual."""
    for deployment in application.deployments:
        if match := _SLOW.search(deployment.message):
            step = "in its constructor"
            if match[2] == "be scheduled":
                step = "waiting for a node or its runtime_env"
            return f"{deployment.name}: a replica has been {step} for over {match[1]} s"
    return ""


def own_stack_line(trace: str) -> str:
    """Return the innermost frame of user code in a py-spy dump, as `load (app.py:9)`.

    Only the thread in which Ray calls user code counts. Frames of Ray and of the
    standard library are skipped.
    """
    for thread in trace.split("\nThread "):
        for line in thread.splitlines():
            match = _STACK_FRAME.match(line)
            if not match:
                continue
            if "ray/" in match[2]:
                break
            top = match[2].rsplit("site-packages/", 1)[-1].split("/")[0]
            if top.removesuffix(".py") not in sys.stdlib_module_names:
                name = match[2].split("/working_dir_files/")[-1]
                return f"{match[1]} ({without_package(name)}:{match[3]})"
    return ""
