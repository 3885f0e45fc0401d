"""A client of the rig's API server for podrun, the provisioner and the tests."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import urllib.parse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MERGE_PATCH = "application/merge-patch+json"
GONE = (404, 409)


class ApiError(OSError):
    """An error that the API server returned; the text contains the server's message."""


class Api:
    """A thread-safe client of the API server, as the rig's administrator."""

    def __init__(self, run: Path) -> None:
        config = json.loads((run / "kubeconfig").read_text(encoding="utf-8"))
        server = config["clusters"][0]["cluster"]["server"]
        self.address = urllib.parse.urlsplit(server).netloc
        pki = run / "pki"
        self.tls = ssl.create_default_context(cafile=pki / "ca.crt")
        self.tls.load_cert_chain(pki / "admin.crt", pki / "admin.key")

    def call(
        self, method: str, path: str, body: object = None, *, content: str = ""
    ) -> dict | None:
        """Return the response, or None if the object is missing or already exists.

        Raises:
            ApiError: The server returned another error.
        """
        connection = http.client.HTTPSConnection(
            self.address, context=self.tls, timeout=30
        )
        headers = {"Content-Type": content or "application/json"}
        with contextlib.closing(connection):
            text = None if body is None else json.dumps(body)
            connection.request(method, path, text, headers)
            answer = connection.getresponse()
            found = json.loads(answer.read())
        if answer.status in GONE:
            return None
        if answer.status >= 400:
            raise ApiError(f"{method} {path}: {answer.status} {found.get('message')}")
        return found

    def items(self, path: str) -> list[dict]:
        """Return the items of the list at this path; none if the kind is not served."""
        return (self.call("GET", path) or {"items": []})["items"]
