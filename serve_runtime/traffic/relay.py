"""A request on its way to an arm and its answer on the way back, in ASGI's terms.

Knows neither Ray nor the HTTP client: what a request is, who sent it, and what of
both heads goes through.
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

    from serve_runtime.traffic.split import Sticky

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Headers = list[tuple[bytes, bytes]]

# Of one connection, not of the message (RFC 9110, 7.6.1).
_HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"upgrade")
) | {b"transfer-encoding"}
# The splitter's own server sends these itself.
_DROPPED = _HOP_BY_HOP | {b"date", b"server", b"x-request-id"}
# A request up to this size is held, so that it can be sent again or mirrored.
_HELD_BYTES = 1 << 20
_COOKIE_SECONDS = 30 * 24 * 3600


class ClientGone(Exception):
    """The client went before it had sent its request."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it is forwarded; `rest` is what of the body was not held."""

    method: str
    path: str
    query: str
    headers: list[tuple[str, str]]
    body: bytes
    rest: AsyncIterator[bytes] | None

    @property
    def data(self) -> bytes | AsyncIterator[bytes] | None:
        """The body as aiohttp takes it."""
        return self.rest or self.body or None


class Answer:
    """The answer of an arm on its way to the client."""

    def __init__(self, send: Send, headers: Headers, *, moved: tuple[str, str]) -> None:
        self.send = send
        self.begun = 0.0
        self.status = 0
        self._headers = headers
        self._moved = moved

    async def start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Send the head; redirects to the arm's route become ours."""
        self.begun, self.status = time.perf_counter(), status
        kept = [
            (key, self._own(value) if key.lower() == b"location" else value)
            for key, value in headers
            if key.lower() not in _DROPPED
        ]
        head = {"type": "http.response.start", "status": status}
        await self.send({**head, "headers": kept + self._headers})

    async def chunk(self, data: bytes) -> None:
        """Send a part of the body."""
        await self.send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """The body is whole."""
        await self.send({"type": "http.response.body"})

    def _own(self, location: bytes) -> bytes:
        theirs, ours = self._moved
        url = urlsplit(location.decode("latin-1"))
        if url.path != theirs and not url.path.startswith(f"{theirs}/"):
            return location
        path = ours + url.path.removeprefix(theirs)
        return urlunsplit(url._replace(path=path)).encode("latin-1")


def caller_of(headers: Headers, sticky: Sticky | None) -> tuple[str, bool]:
    """Who asks, as far as the split goes, and whether he said so himself."""
    given = ""
    if sticky and sticky.header:
        given = _header(headers, sticky.header.lower().encode())
    elif sticky and sticky.cookie:
        cookies: http.cookies.SimpleCookie = http.cookies.SimpleCookie()
        with contextlib.suppress(http.cookies.CookieError):
            cookies.load(_header(headers, b"cookie"))
        given = cookies[sticky.cookie].value if sticky.cookie in cookies else ""
    return (given, True) if given else (secrets.token_hex(8), False)


def _header(headers: Headers, name: bytes) -> str:
    return next((v.decode("utf-8", "replace") for k, v in headers if k == name), "")


def set_cookie(name: str, value: str) -> tuple[bytes, bytes]:
    """The header that gives a caller his cookie."""
    text = f"{name}={value}; Path=/; Max-Age={_COOKIE_SECONDS}; HttpOnly; SameSite=Lax"
    return b"set-cookie", text.encode()


def prefix_of(scope: Message) -> str:
    """The splitter's own route, which Ray gives as ASGI's root_path."""
    return str(scope.get("root_path", "")).rstrip("/")


async def read(scope: Message, receive: Receive) -> Request:
    """The request, its body held up to 1 MiB; what is longer streams."""
    body, more = bytearray(), True
    while more and len(body) <= _HELD_BYTES:
        part, more = await _part(receive)
        body += part
    raw = scope.get("raw_path") or quote(scope["path"]).encode()
    headers = [
        (key.decode("latin-1"), value.decode("utf-8", "replace"))
        for key, value in scope["headers"]
        if key not in _HOP_BY_HOP and key != b"expect"
    ]
    return Request(
        scope["method"],
        raw.decode("latin-1")[len(prefix_of(scope)) :],
        scope["query_string"].decode("latin-1"),
        headers,
        bytes(body),
        _rest(bytes(body), receive) if more else None,
    )


async def _rest(held: bytes, receive: Receive) -> AsyncIterator[bytes]:
    yield held
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
    """An answer of our own, in one line."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    start = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": f"{text}\n".encode()})
