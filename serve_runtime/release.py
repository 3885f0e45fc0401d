"""Releases and the desired state that they change."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Outcome = Literal["open", "good", "rolled back", "failed", "abandoned"]

Documents: TypeAlias = Mapping[str, dict[str, Any] | None]
"""Application documents by name; None deletes the application."""

Writes: TypeAlias = Sequence[tuple[str, dict[str, Any] | None]]
"""Application documents to write in order; None deletes the application."""


@dataclass(frozen=True, slots=True)
class Release:
    """A recorded deployment of one or more applications.

    `documents` contains the new document of each application, or None if the release
    deletes it. `started` is in seconds since the epoch and is only displayed. `back`
    contains the writes that roll back a canary, in order; it is empty for other
    releases.
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
    """The desired state of a cluster.

    `version` counts the writes. `good` contains the last document of each application
    that was confirmed to serve. `options` are the top-level options of the last
    submission.
    """

    version: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    applications: dict[str, dict[str, Any]] = field(default_factory=dict)
    good: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Submission:
    """A change of the desired state that opens a release.

    `base` is the state that the change was planned against. Empty `options` keep the
    current ones. `rollback` becomes `Release.back`.
    """

    documents: Documents
    base: Desired
    options: dict[str, Any] = field(default_factory=dict)
    rollback: Writes = ()

    @property
    def replaced(self) -> dict[str, dict[str, Any] | None]:
        """The documents that are replaced; None for a new application."""
        return {name: self.base.applications.get(name) for name in self.documents}


def author() -> str:
    """Return `user@host` of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no entry in the password database
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def merged(
    documents: Mapping[str, dict[str, Any]], changes: Documents
) -> dict[str, dict[str, Any]]:
    """Return the documents with the changes applied, the changed ones first.

    Ray applies a config in order, and stops at a document that it rejects.
    """
    unchanged = {name: doc for name, doc in documents.items() if name not in changes}
    return {n: doc for n, doc in changes.items() if doc is not None} | unchanged
