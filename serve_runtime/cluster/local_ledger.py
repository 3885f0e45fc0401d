"""The desired state and the releases of a local stack, as JSON files.

A process holds a file lock for each of its releases. The kernel releases the lock when
the process exits, so an open release without a lock was interrupted.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, TypeVar

from raylift.errors import Conflict, Leftovers
from raylift.serve_runtime.cluster.conflicts import INTERRUPTED
from raylift.serve_runtime.release import Desired, Release, author
from raylift.state_files import (
    is_held,
    locked,
    make_private_dir,
    read_json,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from raylift.serve_runtime.release import Submission

T = TypeVar("T")

_HOLD_SECONDS = 5
_MAX_RELEASES = 50


class LocalLedger:
    """The files `desired.json` and `releases/` in a stack's state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._desired = state_dir / "desired.json"
        self._releases = state_dir / "releases"
        self._held = contextlib.ExitStack()

    def desired(self) -> Desired:
        """Return the desired state that was written last."""
        return _load(self._desired, Desired) or Desired()

    def save(self, desired: Desired) -> None:
        """Write the desired state."""
        write_json(self._desired, dataclasses.asdict(desired))

    def open(self, submission: Submission, *, after: int) -> Release:
        """Record a release and lock it; its number is greater than `after`."""
        numbers = (int(path.stem) for path in self._files())
        release = Release(
            max([after, *numbers]) + 1,
            author(),
            time.time(),
            dict(submission.documents),
            back=list(submission.rollback),
        )
        self._hold(release.number)
        self._write(release)
        return release

    def close(self, release: Release) -> None:
        """Record the outcome of a release and release its lock."""
        self._write(release)
        self._held.close()
        self._lock_file(release.number).unlink(missing_ok=True)

    def adopt(self, release: Release) -> bool:
        """Lock an interrupted release; return False if another process has it."""
        try:
            self._hold(release.number)
        except Conflict:
            return False
        return any(each.number == release.number for each in self._open_releases())

    def busy(self) -> list[Release]:
        """Return the open releases that a process holds."""
        return [each for each in self._open_releases() if self._is_held(each.number)]

    def unfinished(self) -> list[Release]:
        """Return the open releases that no process holds."""
        return [
            each for each in self._open_releases() if not self._is_held(each.number)
        ]

    def abandon(self, names: Iterable[str]) -> None:
        """Close the interrupted releases that change one of these applications."""
        names = set(names)
        for release in self.unfinished():
            if names & release.documents.keys():
                self._write(
                    dataclasses.replace(
                        release, outcome="abandoned", reason=INTERRUPTED
                    )
                )
                self._lock_file(release.number).unlink(missing_ok=True)

    def last_of(self, name: str) -> Release | None:
        """Return the last release that changed an application."""
        for path in reversed(self._files()):
            release = _load(path, Release)
            if release and name in release.documents:
                return release
        return None

    # -- files ---------------------------------------------------------------

    def _open_releases(self) -> list[Release]:
        releases = (_load(path, Release) for path in self._files())
        return [each for each in releases if each and each.outcome == "open"]

    def _files(self) -> list[Path]:
        return sorted(self._releases.glob("[0-9]*.json"))

    def _write(self, release: Release) -> None:
        make_private_dir(self._releases)
        path = self._releases / f"{release.number:06}.json"
        write_json(path, dataclasses.asdict(release))
        for old in self._files()[:-_MAX_RELEASES]:
            old.unlink(missing_ok=True)

    # -- locks ---------------------------------------------------------------

    def _lock_file(self, number: int) -> Path:
        return self._releases / f"{number:06}.lock"

    def _hold(self, number: int) -> None:
        make_private_dir(self._releases)
        lock = locked(
            self._lock_file(number), what=f"release {number}", wait_s=_HOLD_SECONDS
        )
        self._held.enter_context(lock)

    def _is_held(self, number: int) -> bool:
        return is_held(self._lock_file(number))


def _load(path: Path, kind: type[T]) -> T | None:
    value = read_json(path)
    try:
        return kind(**value) if value is not None else None
    except TypeError:
        raise Leftovers(
            f"{path}: was written by a different version of raylift",
            hint=f"run `raylift delete -s {path.parent.name}`, which also deletes the"
            " state of the stack",
        ) from None
