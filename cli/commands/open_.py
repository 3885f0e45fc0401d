"""`raylift open`: a loopback address for applications or for Ray's dashboard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raylift.cli.applications import find_applications
from raylift.cli.connect import cluster_of, find_serving
from raylift.cli.output import terminal
from raylift.errors import FailedPrecondition, InvalidInput
from raylift.messages import os_reason
from raylift.serve_runtime.ray_api.relay import Relay

if TYPE_CHECKING:
    from raylift.serve_runtime.cluster.protocol import Cluster
    from raylift.serve_runtime.ray_api.dashboard import Dashboard
    from raylift.serve_runtime.ray_api.transport import Destination


@dataclass(frozen=True, slots=True)
class Request:
    """What to open. An empty name selects all applications; port 0 is any free port."""

    application: str
    dashboard: bool
    port: int


def run(stack_name: str, request: Request) -> None:
    """Pass on requests to the stack until Ctrl-C."""
    if request.application and request.dashboard:
        text = "APP cannot be combined with --dashboard"
        raise InvalidInput.at("command line", text)
    with cluster_of(find_serving(stack_name), settled=False) as cluster:
        routes = {} if request.dashboard else _routes(cluster.dashboard, request)
        with _relay(cluster, request) as relay:
            if request.dashboard:
                terminal.show(f"Ray's dashboard: {relay.url}/?key={relay.key}")
            for name, route in routes.items():
                terminal.show(f"{name}: {relay.url}{route}")
            terminal.say("press Ctrl-C to stop")
            relay.serve_forever()


def _routes(dashboard: Dashboard, request: Request) -> dict[str, str]:
    """Return the route of each application to open.

    Raises:
        InvalidInput: The application does not exist.
        FailedPrecondition: No application has a route.
    """
    wanted = request.application
    routes = {
        name: application.route_prefix
        for name, application in find_applications(dashboard, wanted).items()
        if application.route_prefix
    }
    if not routes:
        what = f"application '{wanted}' has no" if wanted else "no application has a"
        raise FailedPrecondition(
            f"{what} route that clients can call",
            hint=f"run `raylift status -s {dashboard.outputs.stack}`",
        )
    return routes


def _relay(cluster: Cluster, request: Request) -> Relay:
    to: Destination = "dashboard" if request.dashboard else "applications"
    try:
        return Relay(cluster.dashboard.transport, to, port=request.port)
    except OSError as error:
        raise FailedPrecondition(
            f"cannot listen on 127.0.0.1:{request.port}: {os_reason(error)}",
            hint="pass a different --port",
        ) from None
