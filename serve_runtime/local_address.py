"""The one address at which the applications of a local stack answer."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from raylift.errors import CannotWork

if TYPE_CHECKING:
    from raylift.outputs import StackOutputs

_SECONDS = 2.0


def options_at(outputs: StackOutputs, options: dict[str, Any]) -> dict[str, Any]:
    """What the stack decides: one machine has one ingress, at the stack's port."""
    http = {
        **(options.get("http_options") or {}),
        "host": outputs.serve_host,
        "port": outputs.serve_port,
    }
    grpc = {**(options.get("grpc_options") or {}), "port": outputs.grpc_port}
    return {
        "proxy_location": "HeadOnly",
        "http_options": http,
        "grpc_options": grpc,
    }


def has_moved(outputs: StackOutputs, details: dict[str, Any]) -> bool:
    """Whether Serve runs at another address than the stack has.

    It keeps the one it started with, also when it comes back from Ray's storage.
    """
    http, grpc = details.get("http_options"), details.get("grpc_options")
    if not http or not grpc:
        return False
    there = (http.get("host"), http.get("port"), grpc.get("port"))
    return there != (outputs.serve_host, outputs.serve_port, outputs.grpc_port)


def refuse_other_address(outputs: StackOutputs, details: dict[str, Any]) -> None:
    """Nothing that is deployed would answer where the stack says.

    Where another process has the port, Ray would start half of Serve and answer 500.
    """
    if has_moved(outputs, details):
        raise CannotWork(
            f"Serve does not run at {outputs.serve_url}, where the stack has it",
            hint=f"raylift up -s {outputs.stack} moves it",
        )
    if not details.get("proxies") and _is_taken(outputs.serve_port):
        raise CannotWork(
            f"port {outputs.serve_port}, where the applications are to answer, is taken"
            " by a process that is not this stack's",
            hint="end that process, or set another raylift:serve.port and raylift up"
            " --restart",
        )


def _is_taken(port: int) -> bool:
    """Whether something listens where Serve would; ask before Serve has started."""
    with socket.socket() as probe:
        probe.settimeout(_SECONDS)
        return probe.connect_ex(("127.0.0.1", port)) == 0
