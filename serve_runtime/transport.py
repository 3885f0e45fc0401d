"""Transport: how a cluster is asked, wherever it is."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from raylift.errors import Denied

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as far as anybody looks at it."""

    status: int
    text: str


class Transport(Protocol):
    """Ways to one cluster. `wait_s` is how long to wait for an answer, in seconds."""

    def dashboard(
        self,
        method: str,
        path: str,
        *,
        wait_s: float,
        json: object = None,
        fields: Mapping[str, str] | None = None,
    ) -> Answer:
        """What Ray's dashboard answers, whatever its status; `fields` are a query.

        Raises:
            Denied: the token is not the cluster's.
            Busy: it took the question and did not answer in time.
            Unreachable: it does not answer.
        """

    def data_plane(self, path: str, *, wait_s: float) -> Answer | None:
        """What an HTTP proxy of Serve answers; None where it does not."""

    def metrics(self, target: str, *, wait_s: float) -> Answer | None:
        """What is exposed at a `host:port` that Ray names; None where nothing is."""

    def close(self) -> None:
        """Give connections back."""


def refuse_wrong_token(answer: Answer, stack: str, *, hint: str) -> None:
    """Raise Denied where a dashboard answers that it is not asked by its own token."""
    if answer.status not in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return
    missing = answer.status == HTTPStatus.UNAUTHORIZED
    reason = "none was sent" if missing else "it is another cluster's"
    raise Denied(
        f"Ray's dashboard refused the token of stack '{stack}' ({reason})", hint=hint
    )
