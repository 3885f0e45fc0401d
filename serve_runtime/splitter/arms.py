"""The arms of a splitter: their routes, and requests to them."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import aiohttp
from yarl import URL

from raylift.serve_runtime.splitter.proxy import headers_of, target_of
from raylift.serve_runtime.splitter.websocket import without_handshake

if TYPE_CHECKING:
    from raylift.serve_runtime.splitter.proxy import Message, Request

_ROUTES_SECONDS = 1.0
_HANDSHAKE_SECONDS = 60.0
# No timeout for responses, because the limits of the arm apply.
_TIMEOUT = aiohttp.ClientTimeout(sock_connect=5)
# aiohttp rejects a longer status line or header; its default is 8 KiB.
_LINE_BYTES = 1 << 16
# Headers that aiohttp would otherwise add to a request.
_AUTOMATIC = frozenset(("User-Agent", "Accept", "Accept-Encoding", "Content-Type"))


class Arms:
    """The routes of the applications, read from the ingress."""

    def __init__(self, ingress: str) -> None:
        self.ingress = ingress
        self.routes: dict[str, str] = {}
        # No limit, because Ray limits the requests in flight.
        self.session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            max_line_size=_LINE_BYTES,
            max_field_size=_LINE_BYTES,
            timeout=_TIMEOUT,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[_without_redirects()],
        )

    async def follow(self) -> None:
        """Refresh the routes periodically; keep them while the ingress is down."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ValueError):
                await self.refresh()
            await asyncio.sleep(_ROUTES_SECONDS)

    async def refresh(self) -> None:
        """Read the routes; ignore an ingress without routes, which is starting."""
        url = f"{self.ingress}/-/routes"
        async with self.session.get(url, raise_for_status=True) as response:
            routes = await response.json(content_type=None)
        if routes:
            self.routes = {name: route.rstrip("/") for route, name in routes.items()}

    def request(
        self, arm: str, request: Request, *, timeout: aiohttp.ClientTimeout = _TIMEOUT
    ) -> contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a request to an arm."""
        return self.session.request(
            request.method,
            self._url(arm, request.target),
            headers=request.headers,
            data=request.data,
            skip_auto_headers=_AUTOMATIC,
            allow_redirects=False,
            timeout=timeout,
        )

    async def connect(
        self, arm: str, scope: Message
    ) -> aiohttp.ClientWebSocketResponse:
        """Open the WebSocket connection of a scope to an arm.

        Raises:
            aiohttp.ClientError, TimeoutError: The arm rejects it, or does not respond.
        """
        connecting = self.session.ws_connect(
            self._url(arm, target_of(scope)),
            headers=without_handshake(headers_of(scope)),
            protocols=scope.get("subprotocols") or (),
            max_msg_size=0,  # the limits of the arm apply
        )
        return await asyncio.wait_for(connecting, _HANDSHAKE_SECONDS)

    def _url(self, arm: str, target: str) -> URL:
        return URL(f"{self.ingress}{self.routes[arm]}{target}", encoded=True)


def _without_redirects() -> aiohttp.TraceConfig:
    """Return a trace that fails a WebSocket handshake that the arm redirects.

    `ws_connect` would follow the redirect, also away from the arm.
    """

    async def refuse(*_: object) -> None:
        raise aiohttp.ClientError(
            "redirects of WebSocket connections are not supported"
        )

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace
