"""The address of the applications of a local stack."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from raylift.errors import FailedPrecondition

if TYPE_CHECKING:
    from raylift.outputs import LocalOutputs

_PROBE_SECONDS = 2.0


def options_at(outputs: LocalOutputs, options: dict[str, Any]) -> dict[str, Any]:
    """Return the Serve options of the stack: one proxy, on the ports of the stack."""
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


def has_moved(outputs: LocalOutputs, details: dict[str, Any]) -> bool:
    """Return whether Serve runs at a different address from the stack's.

    Serve keeps its first address, even after it is restored from Ray's storage.
    """
    http, grpc = details.get("http_options"), details.get("grpc_options")
    if not http or not grpc:
        return False
    address = (http.get("host"), http.get("port"), grpc.get("port"))
    return address != (outputs.serve_host, outputs.serve_port, outputs.grpc_port)


def refuse_other_address(outputs: LocalOutputs, details: dict[str, Any]) -> None:
    """Check that applications would be served at the address of the stack.

    If another process uses the port, Ray starts only half of Serve and responds with
    500, so the port is checked first.

    Raises:
        FailedPrecondition: Serve runs at another address, or the port is in use.
    """
    if has_moved(outputs, details):
        raise FailedPrecondition(
            f"Serve is running at a different address from {outputs.serve_url}, the"
            " address of this stack",
            hint=f"run `raylift up -s {outputs.stack}` to move it",
        )
    if not details.get("proxies") and _is_in_use(outputs.serve_port):
        raise FailedPrecondition(
            f"port {outputs.serve_port} for applications is in use by a process that is"
            " not part of this stack",
            hint="stop that process, or change raylift:serve.port and run"
            f" `raylift up -s {outputs.stack} --restart`",
        )


def _is_in_use(port: int) -> bool:
    """Return whether a process listens on the port; call before Serve has started."""
    with socket.socket() as probe:
        probe.settimeout(_PROBE_SECONDS)
        return probe.connect_ex(("127.0.0.1", port)) == 0
