"""Questions to the data plane that no application code answers."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from raylift.outputs import StackOutputs

_SECONDS = 2.0


def routes(outputs: StackOutputs) -> dict[str, str] | None:
    """Route → application, as the proxy serves them now; None where it does not answer.

    Ray's status calls a killed proxy HEALTHY for up to 25 s, so this is asked beside
    it, not instead.
    """
    try:
        response = httpx2.get(
            f"{outputs.serve_url}/-/routes",
            timeout=_SECONDS,
            verify=False,
            trust_env=False,
        )
    except httpx2.TransportError:
        return None
    try:
        answer = json.loads(response.text)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def port_is_taken(outputs: StackOutputs) -> bool:
    """Whether something listens where Serve would; ask before Serve has started."""
    with socket.socket() as probe:
        probe.settimeout(_SECONDS)
        return probe.connect_ex(("127.0.0.1", outputs.serve_port)) == 0
