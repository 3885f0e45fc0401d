"""The cluster of a local stack: Ray's REST PUT under a file lock, a ledger in files.

Ray's PUT replaces every application and has no version, so that two writers lose
updates; here read, merge and PUT happen under one lock of the kernel's, which a
killed process cannot leave behind.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from typing import TYPE_CHECKING, Any, TypeVar

from raylift.errors import Conflict, InputFailed, LeftBehind, RayliftError
from raylift.files import is_held, locked, make_private_dir, read_json, write_json
from serve_runtime.dashboard import Rejected
from serve_runtime.local_address import has_moved, options_at, refuse_other_address
from serve_runtime.release import Desired, Release, author, merged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from raylift.outputs import StackOutputs
    from serve_runtime.cluster import Holdup
    from serve_runtime.dashboard import Dashboard, Node
    from serve_runtime.release import Outcome

T = TypeVar("T")

_LOCK_SECONDS = 120
_KEPT = 50


class LocalCluster:
    """Desired state, ledger and packages in the stack's state directory."""

    ships_splitter = False
    routed_within_s = 5.0
    silent_for_s = 5.0

    def __init__(self, outputs: StackOutputs, dashboard: Dashboard) -> None:
        self.outputs = outputs
        self.dashboard = dashboard
        self._folder = outputs.state_dir
        self._releases = outputs.state_dir / "releases"
        self._held = contextlib.ExitStack()

    def desired(self) -> Desired:
        """What was last written, from `desired.json`."""
        return _load(self._folder / "desired.json", Desired) or Desired()

    def submit(
        self,
        documents: Mapping[str, dict[str, Any] | None],
        *,
        base: Desired,
        options: dict[str, Any],
        back: Sequence[tuple[str, dict[str, Any] | None]] = (),
    ) -> Release:
        """Open a release, PUT, and write down what is desired now."""
        with self._locked():
            now = self.desired()
            self._refuse_conflict(documents, base=base, now=now)
            self._end_abandoned(documents)
            number = self._next_number(now)
            release = Release(
                number, author(), time.time(), dict(documents), back=list(back)
            )
            self._hold(release)
            self._write(release)
            try:
                self._put(now, documents, options or now.options, version=number)
            except Rejected as error:
                self.close(release, "failed", str(error))
                raise InputFailed.at("", str(error)) from None
            except RayliftError as error:
                self.close(release, "failed", str(error))
                raise
            return release

    def refuse_busy(self, names: Iterable[str]) -> None:
        """Raise Conflict where a release that somebody works on names one of these."""
        for release in self._open_releases():
            both = sorted(set(names) & release.documents.keys())
            if both and self._is_held(release.number):
                raise Conflict(
                    f"application '{both[0]}' is being deployed by {release.author}"
                    f" (release {release.number})",
                    hint="wait for it to end, then run the same command again",
                )

    def reapply(self) -> dict[str, dict[str, Any]]:
        """PUT what is desired, at the address that the stack has now."""
        with self._locked():
            now = self.desired()
            self._put(now, {}, now.options, version=now.version)
            return now.applications

    def rewrite(self, documents: Mapping[str, dict[str, Any] | None]) -> None:
        """PUT these, without a new release."""
        with self._locked():
            now = self.desired()
            self._put(now, documents, now.options, version=now.version)

    def close(self, release: Release, outcome: Outcome, reason: str = "") -> None:
        """Write the outcome; after `good` its documents are what we go back to."""
        if outcome == "good":
            with self._locked():
                now = self.desired()
                good = merged(now.good, release.documents)
                self._save(dataclasses.replace(now, good=good))
        self._write(dataclasses.replace(release, outcome=outcome, reason=reason))
        self._held.close()
        self._lock_of(release.number).unlink(missing_ok=True)

    def refuse_other_address(self, details: dict[str, Any]) -> None:
        """Raise CannotWork where Serve runs, or would have to, at another port."""
        refuse_other_address(self.outputs, details)

    def has_moved(self, details: dict[str, Any]) -> bool:
        """Whether Serve runs at another address than the stack has."""
        return has_moved(self.outputs, details)

    def settle(self, *, say: Callable[[str], None]) -> None:
        """Nothing: there is one Ray cluster."""

    def could_join(self, _: Iterable[Node]) -> list[Node]:
        """None: the nodes of a stack on this machine are there."""
        return []

    def holdup(self, *, handed_over: bool) -> Holdup | None:
        """None: nobody stands between us and Ray."""
        del handed_over
        return None

    def notes(self) -> list[str]:
        """None."""
        return []

    def unfinished(self) -> list[Release]:
        """Open releases whose process is gone: its lock is free."""
        return [
            release
            for release in self._open_releases()
            if not self._is_held(release.number)
        ]

    def adopt(self, release: Release) -> bool:
        """Take the lock of a release that nobody holds."""
        try:
            self._hold(release)
        except Conflict:
            return False
        return any(found.number == release.number for found in self._open_releases())

    def upload(self, directory: Path, *, place: str) -> tuple[str, int]:
        """A `file://` URI into `.raylift/<stack>/packages`, named by its content."""
        from serve_runtime.packing.pack import pack

        package = pack(directory, store=self._folder / "packages", place=place)
        return package.path.as_uri(), package.size if package.built else 0

    # -- writing -------------------------------------------------------------

    def _put(
        self,
        now: Desired,
        documents: Mapping[str, dict[str, Any] | None],
        options: dict[str, Any],
        *,
        version: int,
    ) -> None:
        applications = merged(now.applications, documents)
        details = self.dashboard.serve_details()
        foreign = {
            name: document
            for name, document in _live(details).items()
            if name not in now.applications and name not in documents
        }
        whole = {
            **options,
            **options_at(self.outputs, options),
            "applications": [*applications.values(), *foreign.values()],
        }
        try:
            self.dashboard.put_applications(whole)
        except Rejected:
            # Ray may have started Serve with options that it would keep.
            if not details.get("proxies"):
                self.dashboard.stop_serve()
            raise
        self._save(
            dataclasses.replace(
                now, version=version, options=options, applications=applications
            )
        )

    def _save(self, desired: Desired) -> None:
        write_json(self._folder / "desired.json", dataclasses.asdict(desired))

    # -- the ledger ----------------------------------------------------------

    def _refuse_conflict(
        self,
        documents: Mapping[str, dict[str, Any] | None],
        *,
        base: Desired,
        now: Desired,
    ) -> None:
        self.refuse_busy(documents)
        for name in documents:
            if now.applications.get(name) != base.applications.get(name):
                last = self._last_release_of(name)
                who = (
                    f"by {last.author} in release {last.number}"
                    if last
                    else "meanwhile"
                )
                raise Conflict(
                    f"application '{name}' was changed {who}",
                    hint="look at it with raylift status, then deploy again",
                )

    def _end_abandoned(self, documents: Mapping[str, dict[str, Any] | None]) -> None:
        for release in self.unfinished():
            if documents.keys() & release.documents.keys():
                reason = "its process was cut off; the next deploy took over"
                self._write(
                    dataclasses.replace(release, outcome="abandoned", reason=reason)
                )
                self._lock_of(release.number).unlink(missing_ok=True)

    def _next_number(self, now: Desired) -> int:
        numbers = [int(path.stem) for path in self._files()]
        return max([now.version, *numbers]) + 1

    def _last_release_of(self, name: str) -> Release | None:
        for path in reversed(self._files()):
            release = _load(path, Release)
            if release and name in release.documents:
                return release
        return None

    def _open_releases(self) -> list[Release]:
        found = (_load(path, Release) for path in self._files())
        return [release for release in found if release and release.outcome == "open"]

    def _files(self) -> list[Path]:
        return sorted(self._releases.glob("[0-9]*.json"))

    def _write(self, release: Release) -> None:
        make_private_dir(self._releases)
        path = self._releases / f"{release.number:06}.json"
        write_json(path, dataclasses.asdict(release))
        for old in self._files()[:-_KEPT]:
            old.unlink(missing_ok=True)

    # -- locks ---------------------------------------------------------------

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return locked(
            self._folder / "desired.lock",
            what=f"the applications of stack '{self.outputs.stack}'",
            wait_s=_LOCK_SECONDS,
        )

    def _lock_of(self, number: int) -> Path:
        return self._releases / f"{number:06}.lock"

    def _hold(self, release: Release) -> None:
        """Hold the release's own lock for as long as this process works on it."""
        make_private_dir(self._releases)
        what = f"release {release.number}"
        lock = locked(self._lock_of(release.number), what=what, wait_s=5)
        self._held.enter_context(lock)

    def _is_held(self, number: int) -> bool:
        return is_held(self._lock_of(number))


def _live(details: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Documents of the declarative applications that Ray runs; PUT drops others."""
    return {
        name: item["deployed_app_config"]
        for name, item in (details.get("applications") or {}).items()
        if item.get("deployed_app_config") and item.get("status") != "DELETING"
    }


def _load(path: Path, kind: type[T]) -> T | None:
    value = read_json(path)
    try:
        return kind(**value) if value is not None else None
    except TypeError:
        raise LeftBehind(
            f"{path}: not this version's",
            hint="raylift delete ends the stack and removes its state",
        ) from None
