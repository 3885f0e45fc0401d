"""The requests and responses that a splitter forwards, as ASGI messages.

This module depends on neither Ray nor the HTTP client.
"""

from __future__ import annotations

import contextlib
import http.cookies
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterator,
        Awaitable,
        Callable,
        Iterable,
        MutableMapping,
    )

    from raylift.serve_runtime.splitter.split import Sticky

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Headers = list[tuple[bytes, bytes]]

# Headers of the connection, not of the message (RFC 9110, 7.6.1).
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade")
) | {b"transfer-encoding"}
# The splitter's server sets these.
_DROPPED = _HOP_BY_HOP | {b"date", b"server", b"x-request-id"}
# Bodies up to this size are buffered to allow retries and mirroring.
_BUFFER_BYTES = 1 << 20
_COOKIE_SECONDS = 30 * 24 * 3600


class ClientGone(Exception):
    """The client disconnected before it sent the whole request."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request to forward.

    `target` is the path below the arm's route, with the query. `rest` is the part of
    the body that is not buffered.
    """

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    rest: AsyncIterator[bytes] | None

    @property
    def data(self) -> bytes | AsyncIterator[bytes] | None:
        """The body for aiohttp."""
        return self.rest or self.body or None


class Answer:
    """The response of an arm, sent to the client.

    `begun` is the time of its first byte by `time.perf_counter`, or 0.
    """

    def __init__(self, send: Send, headers: Headers, *, moved: tuple[str, str]) -> None:
        self.send = send
        self.begun = 0.0
        self.status = 0
        self._headers = headers
        self._moved = moved

    async def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Send the head; rewrite redirects from the arm's route to the splitter's."""
        self.begun, self.status = time.perf_counter(), status
        forwarded = [
            (key, self._rewrite(value) if key.lower() == b"location" else value)
            for key, value in headers
            if key.lower() not in _DROPPED
        ]
        head = {"type": "http.response.start", "status": status}
        await self.send({**head, "headers": forwarded + self._headers})

    async def chunk(self, data: bytes) -> None:
        """Send a part of the body."""
        await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """End the body."""
        await self.send({"type": "http.response.body"})

    def _rewrite(self, location: bytes) -> bytes:
        arm, splitter = self._moved
        url = urlsplit(location.decode("latin-1"))
        if url.path != arm and not url.path.startswith(f"{arm}/"):
            return location
        path = splitter + url.path.removeprefix(arm)
        return urlunsplit(url._replace(path=path)).encode("latin-1")


def caller_of(headers: Headers, sticky: Sticky | None) -> tuple[str, bool]:
    """Return the identity of the caller and whether the request contains it."""
    caller = ""
    if sticky and sticky.header:
        caller = _header(headers, sticky.header.lower().encode())
    elif sticky and sticky.cookie:
        cookies: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
        with contextlib.suppress(http.cookies.CookieError):
            cookies.load(_header(headers, b"cookie"))
        caller = cookies[sticky.cookie].value if sticky.cookie in cookies else ""
    return (caller, True) if caller else (secrets.token_hex(8), False)


def _header(headers: Headers, name: bytes) -> str:
    return next((v.decode("utf-8", "replace") for k, v in headers if k == name), "")


def set_cookie(name: str, value: str) -> tuple[bytes, bytes]:
    """Return the header that sets a caller's cookie."""
    text = f"{name}={value}; Path=/; Max-Age={_COOKIE_SECONDS}; HttpOnly; SameSite=Lax"
    return b"set-cookie", text.encode()


def prefix_of(scope: Message) -> str:
    """Return the splitter's route, which Ray passes as ASGI's root_path."""
    return str(scope.get("root_path", "")).rstrip("/")


def target_of(scope: Message) -> str:
    """Return the path below the splitter's route, as it was sent, with the query."""
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    query = scope["query_string"].decode("latin-1")
    path = raw.decode("latin-1")[len(prefix_of(scope)) :]
    return f"{path}?{query}" if query else path


def headers_of(scope: Message) -> list[tuple[str, str]]:
    """Return the headers to forward."""
    return [
        (key.decode("latin-1"), value.decode("utf-8", "replace"))
        for key, value in scope["headers"]
        if key not in _HOP_BY_HOP and key != b"expect"
    ]


async def read(scope: Message, receive: Receive) -> Request:
    """Read a request; buffer up to 1 MiB of its body and stream the rest."""
    body, more = bytearray(), True
    while more and len(body) <= _BUFFER_BYTES:
        part, more = await _part(receive)
        body += part
    return Request(
        scope["method"],
        target_of(scope),
        headers_of(scope),
        bytes(body),
        _rest(bytes(body), receive) if more else None,
    )


async def _rest(buffered: bytes, receive: Receive) -> AsyncIterator[bytes]:
    yield buffered
    more = True
    while more:
        part, more = await _part(receive)
        yield part


async def _part(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    return message.get("body", b""), message.get("more_body", False)


async def refuse(send: Send, status: int, text: str) -> None:
    """Send a response of the splitter with one line of text."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
