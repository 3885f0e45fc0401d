"""A server on loopback that passes on requests to a stack, whatever its target."""

from __future__ import annotations

import hmac
import secrets
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from raylift.errors import RayliftError, Unreachable
from raylift.serve_runtime.ray_api.transport import Forwarded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from raylift.serve_runtime.ray_api.transport import (
        Destination,
        Streamed,
        Transport,
    )

_HOST = "127.0.0.1"
_HTTP_PORT = 80
_BLOCK = 1 << 16
_SMALL = 1 << 20
# They describe one connection (RFC 9110, section 7.6.1).
_HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
    *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
}
_NOT_FORWARDED = _HOP_BY_HOP | {"host", "x-ray-authorization"}
_NO_BODY = {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}
_COOKIE = "raylift_key_"


class Relay(ThreadingHTTPServer):
    """A relay to the applications or to the dashboard of a stack.

    The dashboard can run any code in the cluster. The relay to it therefore requires a
    key, which is in its URL and then in a cookie, and refuses requests of other sites.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, transport: Transport, to: Destination, *, port: int) -> None:
        super().__init__((_HOST, port), _Handler)
        self.transport = transport
        self.to = to
        self.key = secrets.token_urlsafe(24) if to == "dashboard" else ""

    @property
    def url(self) -> str:
        """The address of the relay, without a path."""
        return f"http://{_HOST}:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    server: Relay

    def _relay(self) -> None:
        refused = self._refusal()
        if refused:
            self._answer(*refused)
        elif self.server.key and self._shows_key():
            self._set_cookie()
        elif self.server.key and not self._has_cookie():
            self._answer(
                HTTPStatus.FORBIDDEN,
                "the key is missing; use the URL that `raylift open` printed",
            )
        else:
            self._forward()

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Return the handler of any method, which `http.server` calls `do_METHOD`."""
        if name.startswith("do_"):
            return self._relay
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Write nothing."""

    # -- refusals ------------------------------------------------------------

    def _refusal(self) -> tuple[HTTPStatus, str] | None:
        """Return why a request is not passed on, or None."""
        # Otherwise, a site whose name resolves to this address could read responses.
        if self.headers.get("Host") not in self._hosts():
            return HTTPStatus.FORBIDDEN, f"the host is not known; use {self.server.url}"
        site = self.headers.get("Sec-Fetch-Site", "none")
        if site == "cross-site" or (self.server.key and site == "same-site"):
            return HTTPStatus.FORBIDDEN, "requests from other sites are not allowed"
        # A client of the API server would resolve `..` to other paths.
        parts = unquote(urlsplit(self.path).path).split("/")
        if not self.path.startswith("/") or {".", ".."} & set(parts):
            return (
                HTTPStatus.BAD_REQUEST,
                "the path must start with / and not contain the segments . and ..",
            )
        if "Upgrade" in self.headers:
            return HTTPStatus.NOT_IMPLEMENTED, "WebSockets are not supported"
        if "Transfer-Encoding" in self.headers:
            return (
                HTTPStatus.LENGTH_REQUIRED,
                "bodies without a Content-Length are not supported",
            )
        if not self.headers.get("Content-Length", "0").isdecimal():
            return HTTPStatus.BAD_REQUEST, "the Content-Length is not a number"
        return None

    def _hosts(self) -> set[str]:
        port = self.server.server_port
        hosts = {f"{name}:{port}" for name in (_HOST, "localhost")}
        return hosts | ({_HOST, "localhost"} if port == _HTTP_PORT else set())

    def _shows_key(self) -> bool:
        given = parse_qs(urlsplit(self.path).query).get("key", [""])[0]
        return self._is_key(given)

    def _has_cookie(self) -> bool:
        name = f"{_COOKIE}{self.server.server_port}="
        cookies = self.headers.get("Cookie", "").split(";")
        return any(
            self._is_key(cookie.strip().removeprefix(name))
            for cookie in cookies
            if cookie.strip().startswith(name)
        )

    def _is_key(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.server.key.encode())

    def _set_cookie(self) -> None:
        """Move the key from the URL to a cookie."""
        # Cookies do not depend on the port, so the name does.
        cookie = f"{_COOKIE}{self.server.server_port}={self.server.key}"
        self.send_response(HTTPStatus.SEE_OTHER)
        self.send_header("Set-Cookie", f"{cookie}; HttpOnly; SameSite=Strict; Path=/")
        self.send_header("Location", urlsplit(self.path).path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    # -- requests ------------------------------------------------------------

    def _forward(self) -> None:
        self._unread = int(self.headers.get("Content-Length", 0))
        self._has_started = False
        try:
            request = Forwarded(self.command, self.path, self._headers(), self._body())
            with self.server.transport.forward(self.server.to, request) as response:
                self._pass_on(response)
        except RayliftError as error:
            self.close_connection = True  # an incomplete response ends here
            if not self._has_started:
                self._answer(HTTPStatus.BAD_GATEWAY, str(error))
        # The next request would otherwise start in the middle of this body.
        self.close_connection = self.close_connection or bool(self._unread)

    def _headers(self) -> list[tuple[str, str]]:
        """Return the headers to pass on, without the keys of relays."""
        headers = []
        for name, value in self.headers.items():
            if name.lower() == "cookie":
                others = [
                    c for c in value.split(";") if not c.strip().startswith(_COOKIE)
                ]
                headers += [(name, ";".join(others))] if others else []
            elif name.lower() not in _NOT_FORWARDED:
                headers.append((name, value))
        return headers

    def _body(self) -> bytes | Iterator[bytes] | None:
        """Return the body, as bytes if it is small: it can then be sent again."""
        if not self._unread:
            return None
        blocks = self._blocks()
        return blocks if self._unread > _SMALL else b"".join(blocks)

    def _blocks(self) -> Iterator[bytes]:
        while self._unread:
            try:
                block = self.rfile.read1(min(self._unread, _BLOCK))
            except OSError:
                block = b""
            if not block:
                raise Unreachable("the client sent an incomplete request")
            self._unread -= len(block)
            yield block

    def _pass_on(self, response: Streamed) -> None:
        """Send a response, in chunks if its length is unknown."""
        self._has_started = True
        self.send_response_only(response.status)
        names = {name.lower() for name, _ in response.headers}
        for name, value in response.headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        is_empty = self.command == "HEAD" or response.status in _NO_BODY
        in_chunks = not is_empty and "content-length" not in names
        if in_chunks:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if is_empty:
            return
        for block in response.body:
            self.wfile.write(
                b"%x\r\n%b\r\n" % (len(block), block) if in_chunks else block
            )
        if in_chunks:
            self.wfile.write(b"0\r\n\r\n")

    def _answer(self, status: HTTPStatus, text: str) -> None:
        """Send a line of text; the connection ends, because a body may be unread."""
        body = f"{text}\n".encode()
        self.close_connection = True
        self.send_response_only(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
