"""Why an application is stuck or failed, in one line, in the user's own words."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

from raylift.wording import printable
from serve_runtime.capacity import missing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from serve_runtime.dashboard import Node
    from serve_runtime.status import ApplicationStatus, DeploymentStatus

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_EXCEPTION = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit)\b.*)")
_FRAME = re.compile(r'^\s*File "([^"]+)", line (\d+), in')
_STACK_FRAME = re.compile(r"^\s+(\S+) \((.+?):(\d+)\)")
_RAYS_OWN = ("/ray/", "/concurrent/futures/", "/asyncio/", "/importlib/", "<frozen")


def why(
    application: ApplicationStatus, nodes: Iterable[Node], could: Iterable[Node] = ()
) -> str:
    """The cause, or an empty string while nothing is wrong.

    `could` are nodes that an autoscaler would bring.
    """
    for deployment in application.deployments:
        if cause := _deployment(deployment, nodes, could):
            return f"{deployment.name}: {cause}"
    # The application's own text is the cause of a failed build; of failed replicas it
    # says no more than that there are some.
    return explain(application.message) if application.message else ""


def _deployment(
    deployment: DeploymentStatus, nodes: Iterable[Node], could: Iterable[Node]
) -> str:
    if "exception" in deployment.message or "Traceback" in deployment.message:
        return explain(deployment.message)
    starting = deployment.replicas.get("STARTING", 0)
    if (
        starting
        and deployment.unplaced
        and (lack := missing(deployment.needs, nodes, could))
    ):
        return f"no node can hold a replica: {lack}"
    return explain(deployment.message) if deployment.message else ""


def explain(message: str) -> str:
    """The line of a Ray message that a person needs: the user's exception and place."""
    lines = [line.rstrip() for line in _COLOUR.sub("", message).splitlines()]
    cause = _last_exception(lines)
    if not cause:
        first = next((line for line in lines if line.strip()), "")
        return printable(first.strip(), limit=300)
    place = _own_frame(lines)
    return printable(cause, limit=300) + (f" ({place})" if place else "")


def _last_exception(lines: list[str]) -> str:
    """The innermost exception; Ray wraps it in a RuntimeError holding its traceback."""
    found = [match[1] for line in lines if (match := _EXCEPTION.match(line.strip()))]
    real = [line for line in found if not re.match(r"\S*Error: (Traceback|\x1b)", line)]
    for line in reversed(real):
        if not line.startswith(
            ("ray.exceptions.RayTaskError", "ray.exceptions.RayActor")
        ):
            return line
    return real[-1] if real else ""


def _own_frame(lines: list[str]) -> str:
    """`app.py:12`, the last frame in code that is not Ray's."""
    for line in reversed(lines):
        match = _FRAME.match(line)
        if match and not any(part in match[1] for part in _RAYS_OWN):
            name = match[1].split("/working_dir_files/")[-1]
            short = "/".join(name.split("/")[-2:]) if name.startswith("/") else name
            return f"{_without_package(short)}:{match[2]}"
    return ""


def _without_package(path: str) -> str:
    return re.sub(r"^(raylift|_ray_pkg|file|s3|gs|https)_[0-9a-f]+/", "", path)


def own_stack_line(trace: str) -> str:
    """`load (app.py:9)`: where in the user's code a py-spy dump stands.

    It is the innermost frame that is neither Ray's nor Python's, of the thread in
    which Ray called it.
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
                return f"{match[1]} ({_without_package(name)}:{match[3]})"
    return ""
