"""Conflicts with releases of other processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylift.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raylift.serve_runtime.release import Release

INTERRUPTED = "its process was interrupted; the next deploy took over"
"""The reason recorded for an abandoned release."""


def refuse_overlap(names: Iterable[str], busy: Iterable[Release]) -> None:
    """Raise Conflict if a busy release changes one of these applications."""
    names = set(names)
    for release in busy:
        if shared := names & release.documents.keys():
            raise Conflict(
                f"application '{min(shared)}' is being deployed by {release.author}"
                f" (release {release.number})",
                hint="wait for it to finish, then run the same command again",
            )


def changed(name: str, last: Release | None) -> Conflict:
    """Return the error for an application that was changed after planning.

    `last` is the release that changed it, if known.
    """
    by = f"by {last.author} in release {last.number}" if last else "in the meantime"
    return Conflict(
        f"application '{name}' was changed {by}",
        hint="review it with `raylift status`, then deploy again",
    )
