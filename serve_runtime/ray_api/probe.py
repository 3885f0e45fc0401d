"""Probes of the data plane that reach no application code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raylift.serve_runtime.ray_api.transport import Transport

# A closed port refuses connections immediately; a busy machine responds late.
_SECONDS = 10.0


def routes(transport: Transport) -> dict[str, str] | None:
    """Return the proxy's routes as `{route: application}`, or None without a response.

    Ray reports a killed proxy as HEALTHY for up to 25 s, so a status requires both.
    """
    response = transport.data_plane("/-/routes", wait_s=_SECONDS)
    if response is None:
        return None
    try:
        answer = json.loads(response.text)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
