"""The transport to a stack on this machine: its own ports, on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import urllib3

from raylift.errors import Busy, Unreachable
from serve_runtime.transport import Answer, refuse_wrong_token

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raylift.outputs import StackOutputs


class Direct:
    """A session with one local stack."""

    def __init__(self, outputs: StackOutputs) -> None:
        self._outputs = outputs
        # urllib3 takes no proxy from the environment: it must not see the token.
        self._pool = urllib3.PoolManager(
            headers={"Authorization": f"Bearer {outputs.token}"}, retries=False
        )

    def dashboard(
        self,
        method: str,
        path: str,
        *,
        wait_s: float,
        json: object = None,
        fields: Mapping[str, str] | None = None,
    ) -> Answer:
        """As Transport says."""
        url = self._outputs.dashboard_url
        more = {"json": json} if json is not None else {"fields": fields}
        try:
            response = self._pool.request(
                method, f"{url}{path}", timeout=wait_s, **more
            )
        except urllib3.exceptions.HTTPError as error:
            waited = isinstance(error, urllib3.exceptions.ReadTimeoutError)
            raise (Busy if waited else Unreachable)(
                f"Ray's dashboard does not answer at {url}: {_reason(error)}",
                hint=f"raylift up -s {self._outputs.stack}",
            ) from None
        answer = _answer(response)
        stack = self._outputs.stack
        refuse_wrong_token(
            answer,
            stack,
            hint=f"raylift up -s {stack} --restart starts Ray with the token of the"
            " stack",
        )
        return answer

    def data_plane(self, path: str, *, wait_s: float) -> Answer | None:
        """As Transport says."""
        return _get(f"{self._outputs.serve_url}{path}", wait_s)

    def metrics(self, target: str, *, wait_s: float) -> Answer | None:
        """As Transport says."""
        return _get(f"http://{target}/metrics", wait_s)

    def close(self) -> None:
        """As Transport says."""
        self._pool.clear()


def _get(url: str, wait_s: float) -> Answer | None:
    """Asked without the token: it is for the dashboard alone."""
    try:
        return _answer(urllib3.request("GET", url, timeout=wait_s, retries=False))
    except urllib3.exceptions.HTTPError:
        return None


def _answer(response: urllib3.BaseHTTPResponse) -> Answer:
    return Answer(response.status, response.data.decode(errors="replace"))


def _reason(error: Exception) -> str:
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "connection refused"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    return "the connection broke"
