"""Questions to the data plane that no application code answers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from serve_runtime.transport import Transport

_SECONDS = 2.0


def routes(transport: Transport) -> dict[str, str] | None:
    """Route → application, as the proxy serves them now; None where it does not answer.

    Ray's status calls a killed proxy HEALTHY for up to 25 s, so this is asked beside
    it, not instead.
    """
    found = transport.data_plane("/-/routes", wait_s=_SECONDS)
    if found is None:
        return None
    try:
        answer = json.loads(found.text)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}
