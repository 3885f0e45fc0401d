"""Questions to the data plane that no application code answers."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import urllib3

if TYPE_CHECKING:
    from raylift.outputs import StackOutputs

_SECONDS = 2.0


def routes(outputs: StackOutputs) -> dict[str, str] | None:
    """Route → application, as the proxy serves them now; None where it does not answer.

    Ray's status calls a killed proxy HEALTHY for up to 25 s, so this is asked beside
    it, not instead.
    """
    url = f"{outputs.serve_url}/-/routes"
    try:
        response = urllib3.request("GET", url, timeout=_SECONDS, retries=False)
        answer = json.loads(response.data)
    except urllib3.exceptions.HTTPError:
        return None
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def port_is_taken(outputs: StackOutputs) -> bool:
    """Whether something listens where Serve would; ask before Serve has started."""
    with socket.socket() as probe:
        probe.settimeout(_SECONDS)
        return probe.connect_ex(("127.0.0.1", outputs.serve_port)) == 0
