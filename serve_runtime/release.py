"""Release: one change of a cluster: what, who, when, and how it ended."""

from __future__ import annotations

import getpass
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

Outcome = Literal["open", "good", "rolled back", "failed", "abandoned"]


@dataclass(frozen=True, slots=True)
class Release:
    """One entry of the ledger.

    `documents` holds the new document of each application it touched, None for one
    it took away; `started` is seconds since the epoch, for people to read only. `back`
    is of a release that shifts traffic, where half done must not stay: what puts the
    old version back, one application after the other.
    """

    number: int
    author: str
    started: float
    documents: dict[str, dict[str, Any] | None]
    outcome: Outcome = "open"
    reason: str = ""
    back: list[tuple[str, dict[str, Any] | None]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Desired:
    """What a cluster is meant to run.

    `version` counts the writes; `good` is, by application, the last document that
    was seen serving; `options` are the top-level options of the last submit.
    """

    version: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    applications: dict[str, dict[str, Any]] = field(default_factory=dict)
    good: dict[str, dict[str, Any]] = field(default_factory=dict)


def author() -> str:
    """`user@host` of this process, for the ledger."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no entry in the password database
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def merged(
    documents: Mapping[str, dict[str, Any]],
    changes: Mapping[str, dict[str, Any] | None],
) -> dict[str, dict[str, Any]]:
    """Documents by application after changes; None takes one away."""
    kept = {name: doc for name, doc in documents.items() if name not in changes}
    return kept | {name: doc for name, doc in changes.items() if doc is not None}
