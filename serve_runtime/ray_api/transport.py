"""The interface for access to Ray and Serve, independent of the target."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Literal, Protocol

from raylift.errors import PermissionDenied

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager


@dataclass(frozen=True, slots=True)
class Call:
    """A request to Ray's dashboard.

    `wait_s` is the timeout in seconds, `json` the body, `fields` the query.
    """

    method: str
    path: str
    wait_s: float
    json: object = None
    fields: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """The parts of an HTTP response that raylift reads."""

    status: int
    text: str


Destination = Literal["applications", "dashboard"]


@dataclass(frozen=True, slots=True)
class Forwarded:
    """A request of another client that is passed on. `path` includes the query."""

    method: str
    path: str
    headers: Sequence[tuple[str, str]]
    body: bytes | Iterable[bytes] | None


@dataclass(frozen=True, slots=True)
class Streamed:
    """A response whose body has not been read; it is passed on as it is encoded."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: Iterable[bytes]


class Transport(Protocol):
    """A session with one cluster. `wait_s` is a timeout in seconds."""

    def dashboard(self, call: Call) -> Response:
        """Return the response of Ray's dashboard, whatever its status.

        Raises:
            PermissionDenied: The dashboard rejects the token.
            Busy: The dashboard accepted the request but did not respond in time.
            Unreachable: The dashboard does not respond.
        """

    def data_plane(self, path: str, *, wait_s: float) -> Response | None:
        """Return the response of a Serve HTTP proxy, or None if it does not respond."""

    def metrics(self, target: str, *, wait_s: float) -> Response | None:
        """Return the metrics of a `host:port` that Ray lists, or None."""

    def forward(
        self, to: Destination, request: Forwarded
    ) -> AbstractContextManager[Streamed]:
        """Pass on a request to the data plane, or with the token to the dashboard.

        Errors of the API server are responses as well.

        Raises:
            RayliftError: There is no response.
        """

    def close(self) -> None:
        """Close the connections."""


def refuse_wrong_token(response: Response, stack: str, *, hint: str) -> None:
    """Raise PermissionDenied if the dashboard rejected the token."""
    if response.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return
    missing = response.status == HTTPStatus.UNAUTHORIZED
    reason = "requires a token" if missing else "rejected the stack's token"
    raise PermissionDenied(f"stack '{stack}': Ray's dashboard {reason}", hint=hint)
