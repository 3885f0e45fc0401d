"""The transport to a stack on this machine: HTTP to its ports on loopback."""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.util import wait_for_read

from raylift.errors import Busy, Unreachable
from raylift.serve_runtime.ray_api.transport import (
    Call,
    Response,
    Streamed,
    refuse_wrong_token,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator

    from raylift.outputs import LocalOutputs
    from raylift.serve_runtime.ray_api.transport import Destination, Forwarded

# It queries Ray's control store, in a different process of the dashboard than Serve's
# API.
_HEALTH_PATH = "/api/gcs_healthz"
_CONNECT_SECONDS = 10.0


class _UnhealthyError(OSError):
    """The dashboard accepts connections, but fails its health check."""


class Loopback:
    """A session with one local stack.

    A request to the dashboard waits while the dashboard passes its health check. It is
    never repeated, because that would slow down a busy dashboard and could apply a PUT
    twice. `on_wait` receives a line every `report_s` seconds.
    """

    report_s = 5.0
    """Intervals of progress reports and of health checks, in seconds."""
    unhealthy_s = 30.0
    """Time of failing health checks after which the dashboard is dead, in seconds."""

    def __init__(
        self,
        outputs: LocalOutputs,
        *,
        on_wait: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._outputs = outputs
        self._on_wait = on_wait

    def dashboard(self, call: Call) -> Response:
        """Return the dashboard's response; see Transport."""
        try:
            response = self._request(call)
        except (OSError, http.client.HTTPException) as error:
            kind = Busy if isinstance(error, TimeoutError) else Unreachable
            raise kind(
                f"Ray's dashboard does not respond at {self._outputs.dashboard_url}:"
                f" {_reason(error, call.wait_s)}",
                hint=f"run `raylift up -s {self._outputs.stack}`",
            ) from None
        stack = self._outputs.stack
        refuse_wrong_token(
            response,
            stack,
            hint=f"run `raylift up -s {stack} --restart` to restart Ray with the"
            " stack's token",
        )
        return response

    def data_plane(self, path: str, *, wait_s: float) -> Response | None:
        """Return the proxy's response; see Transport."""
        return _get(f"{self._outputs.serve_url}{path}", wait_s)

    def metrics(self, target: str, *, wait_s: float) -> Response | None:
        """Return the target's metrics; see Transport."""
        return _get(f"http://{target}/metrics", wait_s)

    @contextlib.contextmanager
    def forward(self, to: Destination, request: Forwarded) -> Iterator[Streamed]:
        """Pass on a request; see Transport."""
        sent = urllib3.HTTPHeaderDict(request.headers)
        url = self._outputs.serve_url
        if to == "dashboard":
            url = self._outputs.dashboard_url
            sent["Authorization"] = f"Bearer {self._outputs.token}"
        try:
            response = urllib3.request(
                request.method,
                f"{url}{request.path}",
                headers=sent,
                body=request.body,
                timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=None),
                preload_content=False,
                redirect=False,
                retries=False,
            )
        except urllib3.exceptions.HTTPError:
            raise Unreachable(f"{url} does not respond") from None
        with contextlib.closing(response):
            received = list(response.headers.items())
            yield Streamed(response.status, received, _blocks(response))

    def close(self) -> None:
        """Do nothing, because each request uses a separate connection."""

    def _request(self, call: Call) -> Response:
        target = f"{call.path}?{urlencode(call.fields)}" if call.fields else call.path
        body = None if call.json is None else json.dumps(call.json).encode()
        # http.client ignores proxies in the environment, which must not see the token.
        headers = {"Authorization": f"Bearer {self._outputs.token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        address = urlsplit(self._outputs.dashboard_url).netloc
        connection = http.client.HTTPConnection(address, timeout=call.wait_s)
        with contextlib.closing(connection):
            connection.request(call.method, target, body, headers)
            self._wait_for_answer(connection.sock, call.wait_s)
            response = connection.getresponse()
            return Response(response.status, response.read().decode(errors="replace"))

    def _wait_for_answer(self, sock: socket.socket, wait_s: float) -> None:
        """Wait until the first byte of the response arrives.

        Raises:
            TimeoutError: `wait_s` has passed.
            _UnhealthyError: The health check has failed for `unhealthy_s`.
        """
        began = healthy = time.monotonic()
        waited = 0.0
        while not wait_for_read(sock, max(0.0, min(self.report_s, wait_s - waited))):
            waited = time.monotonic() - began
            if waited >= wait_s:
                raise TimeoutError
            self._on_wait(f"waiting for Ray's dashboard ({waited:.0f} s)")
            if self._is_healthy():
                healthy = time.monotonic()
            elif time.monotonic() - healthy >= self.unhealthy_s:
                raise _UnhealthyError

    def _is_healthy(self) -> bool:
        url = f"{self._outputs.dashboard_url}{_HEALTH_PATH}"
        answer = _get(url, self.report_s)
        return answer is not None and answer.status == HTTPStatus.OK


def _get(url: str, wait_s: float) -> Response | None:
    """Return the response to a request without the token, which is only for Ray."""
    try:
        response = urllib3.request("GET", url, timeout=wait_s, retries=False)
    except urllib3.exceptions.HTTPError:
        return None
    return Response(response.status, response.data.decode(errors="replace"))


def _blocks(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    """Yield a body as it arrives.

    Raises:
        Unreachable: The connection was lost.
    """
    try:
        yield from response.stream(decode_content=False)
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(f"the connection was lost: {error}") from None


def _reason(error: Exception, wait_s: float) -> str:
    match error:
        case ConnectionRefusedError():
            return "connection refused"
        case TimeoutError():
            return f"no response within {wait_s:.0f} s"
        case _UnhealthyError():
            return "its health check fails"
        case _:
            return "the connection was lost"
