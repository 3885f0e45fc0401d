"""A server that stores the code packages of a stack on a volume.

It runs as `python -c` in a pod with Ray's image, so it imports only the standard
library.

| request | effect |
|---|---|
| `GET /NAME`, `HEAD /NAME` | returns a package |
| `PUT /NAME` | stores a package; requires the token |
| `POST /keep` | deletes old packages not in a JSON list; requires the token |

The name of a package contains the hash of its contents. Only those who know the
contents, or the stack's Serve config, can therefore read a package.
"""

from __future__ import annotations

import errno
import hmac
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PACKAGE = re.compile(r"raylift_[0-9a-f]{32}\.zip")
_PARTIAL = ".part"
_TOKEN_HEADER = "X-Raylift-Token"  # noqa: S105 a header
_BLOCK = 1 << 20
# A deploy requests its package within this time before it uses it. Every upload, even
# to another server during a rolling update, ends sooner.
_OLD_SECONDS = 3600


class PackageServer(ThreadingHTTPServer):
    """An HTTP server for the packages in one folder."""

    request_queue_size = 128

    def __init__(self, address: tuple[str, int], folder: Path, token: str) -> None:
        super().__init__(address, _Handler)
        self.token = token
        self._folder = folder
        self._lock = threading.Lock()
        self._delete(f"*{_PARTIAL}", set())

    def find(self, name: str) -> Path | None:
        """Return the file of a package, which counts as requested now, or None."""
        file = self._folder / name
        try:
            with self._lock:
                os.utime(file)
        except FileNotFoundError:
            return None
        return file

    def keep(self, names: set[str]) -> None:
        """Delete old packages, except these."""
        self._delete("*.zip", names)

    def store(self, name: str, body: _Body) -> bool:
        """Write a package; return whether its body was complete."""
        handle, partial = tempfile.mkstemp(dir=self._folder, suffix=_PARTIAL)
        try:
            with os.fdopen(handle, "wb") as file:
                while block := body.read():
                    file.write(block)
                file.flush()
                os.fsync(file.fileno())
            if not body.left:
                Path(partial).replace(self._folder / name)
        finally:
            Path(partial).unlink(missing_ok=True)
        return not body.left

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that disconnect."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def _delete(self, pattern: str, kept: set[str]) -> None:
        oldest = time.time() - _OLD_SECONDS
        for file in self._folder.glob(pattern):
            with self._lock:
                if file.name not in kept and file.stat().st_mtime < oldest:
                    file.unlink(missing_ok=True)


class _Body:
    """The body of a request, of which `left` bytes have not been read."""

    def __init__(self, handler: BaseHTTPRequestHandler, length: int) -> None:
        self._stream = handler.rfile
        self.left = length

    def read(self) -> bytes:
        """Return the next block, or nothing at the end."""
        block = self._stream.read(min(self.left, _BLOCK))
        self.left -= len(block)
        return block


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 60  # seconds without data
    server: PackageServer

    def do_HEAD(self) -> None:
        """Return whether a package exists."""
        file = self._file()
        self._answer(200 if file else 404, file.stat().st_size if file else 0)

    def do_GET(self) -> None:
        """Return a package or, at `/healthz`, that the server is healthy."""
        file = self._file()
        if file is None:
            self._answer(200 if self.path == "/healthz" else 404)
            return
        with file.open("rb") as body:
            self._answer(200, os.fstat(body.fileno()).st_size)
            shutil.copyfileobj(body, self.wfile, _BLOCK)

    def do_PUT(self) -> None:
        """Store a package."""
        self._change(self._store if self._name() else None)

    def do_POST(self) -> None:
        """Delete the packages that are old and not in the list."""
        self._change(self._keep if self.path == "/keep" else None)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log every request except those of probes."""
        if getattr(self, "path", "") != "/healthz":
            super().log_request(code, size)

    def _name(self) -> str | None:
        """Return the name of the package in the path."""
        name = self.path.removeprefix("/")
        return name if _PACKAGE.fullmatch(name) else None

    def _file(self) -> Path | None:
        name = self._name()
        return self.server.find(name) if name else None

    def _change(self, change: Callable[[_Body], int] | None) -> None:
        """Run `change` and answer with its status code; without it, answer with 404."""
        text = self.headers.get("Content-Length", "")
        if not text.isdecimal():
            self.close_connection = True  # the body's end is unknown
            self._answer(411)
            return
        body = _Body(self, int(text))
        try:
            code = self._changed(change, body) if change else 404
        except OSError as error:
            code = 507 if error.errno in (errno.ENOSPC, errno.EDQUOT) else 500
        # A client may read the response only after it has sent the body.
        while body.read():
            pass
        self.close_connection = bool(body.left)
        self._answer(code)

    def _changed(self, change: Callable[[_Body], int], body: _Body) -> int:
        given = self.headers.get(_TOKEN_HEADER, "")
        is_right = hmac.compare_digest(given.encode(), self.server.token.encode())
        return change(body) if is_right else 401

    def _store(self, body: _Body) -> int:
        return 201 if self.server.store(self.path.removeprefix("/"), body) else 400

    def _keep(self, body: _Body) -> int:
        try:
            names = set(json.loads(body.read()))
        except (ValueError, TypeError):
            return 400
        self.server.keep(names)
        return 204

    def _answer(self, code: int, size: int = 0) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(size))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()


def main(folder: str, port: int) -> None:
    """Serve a folder until SIGTERM; the token is in the environment."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # Only pods of the stack and the API server can connect: see the network policies.
    address = ("0.0.0.0", port)  # noqa: S104
    with PackageServer(address, Path(folder), os.environ["TOKEN"]) as server:
        server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
