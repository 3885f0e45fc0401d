"""The ledger of releases on Kubernetes: a ControllerRevision of the RayService each.

Kubernetes keeps what a revision says from being changed; how it ended, and who works on
it, stand in its annotations. Whoever works on one renews it by the clock of the API
server, so that clocks of machines that deploy do not matter.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from raylift.errors import Conflict, LeftBehind, RayliftError, Unreachable
from raylift.ray_service import STACK_LABEL
from serve_runtime.release import Release, author

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from raylift.kubernetes import Api
    from raylift.ray_service import RayService
    from serve_runtime.release import Outcome

    Documents = Mapping[str, dict[str, Any] | None]

_NUMBER = "raylift.io/release"
_OUTCOME, _REASON = "raylift.io/outcome", "raylift.io/reason"
_HOLDER, _RENEWED = "raylift.io/holder", "raylift.io/renewed"
_RENEW_SECONDS = 3.0
# No answer to one renewal must not be the end: two questions, each as long as this.
_WAIT_SECONDS = 3.0
_DEAD_SECONDS = 15.0
_CLOSE_SECONDS = 20.0
_KEPT = 50


@dataclass(frozen=True, slots=True)
class Revision:
    """A release and what is known of whoever works on it.

    `before` are the documents that it replaced; `version` is its resourceVersion.
    """

    release: Release
    before: dict[str, dict[str, Any] | None]
    renewed: float
    version: str = field(compare=False)


class Revisions:
    """The releases of one stack, and which of them are held by this process."""

    def __init__(self, service: RayService) -> None:
        self._service = service
        self._api = service.api
        root = service.core.replace("/api/v1", "/apis/apps/v1", 1)
        self._path = f"{root}/controllerrevisions"
        self._holder = f"{author()}/{uuid.uuid4().hex[:8]}"
        self._held: dict[int, _Hold] = {}

    def all(self) -> list[Revision]:
        """Every release that is kept, the oldest first."""
        selector = f"{STACK_LABEL}={self._service.stack},{_NUMBER}"
        found = self._api.items(self._path, labelSelector=selector)
        return sorted(map(_revision, found), key=lambda each: each.release.number)

    def good(self) -> dict[str, dict[str, Any]]:
        """By application, the last document that was seen serving.

        Before the first good release of one, that is what its first release replaced.
        """
        good: dict[str, dict[str, Any] | None] = {}
        for revision in self.all():
            for name, document in revision.release.documents.items():
                if good.get(name) is None:
                    good[name] = revision.before.get(name)
                if revision.release.outcome == "good":
                    good[name] = document
        return {name: doc for name, doc in good.items() if doc is not None}

    def open(
        self,
        documents: Documents,
        *,
        before: Documents,
        back: Sequence[tuple[str, dict[str, Any] | None]],
    ) -> Release:
        """A new release, held by this process."""
        release, made = self._create(
            lambda number: Release(
                number, author(), time.time(), dict(documents), back=list(back)
            ),
            before=before,
        )
        hold = _Hold(self._api, self._place(release.number), made, self._holder)
        self._held[release.number] = hold
        return release

    def refuse_lost(self) -> None:
        """Renew what is held; raise Conflict where it has been taken over."""
        for number, hold in self._held.items():
            if not hold.renew():
                raise _taken_over(number)

    def end(self, release: Release, outcome: Outcome, reason: str) -> None:
        """Write down how a release ended, and let it go.

        Where it has ended with other documents than it began with, those are a
        release of their own: nobody can change what a revision says.

        Raises:
            Conflict: it is not ours any more.
            Unreachable: that could not be written.
        """
        hold = self._held[release.number]
        if outcome == "good" and release.documents != hold.documents:
            if not hold.renew():
                raise _taken_over(release.number)
            self._create(
                lambda number: dataclasses.replace(
                    release, number=number, outcome=outcome, back=[]
                ),
                before={},
            )
        if not hold.end({_OUTCOME: outcome, _REASON: reason}):
            raise _taken_over(release.number)
        del self._held[release.number]
        with contextlib.suppress(RayliftError):  # the next one does it
            self._prune()

    def abandon(self, revision: Revision, reason: str) -> None:
        """Write down that a release that nobody works on was cut off.

        Raises:
            Conflict: somebody works on it after all.
        """
        number = revision.release.number
        change = {_OUTCOME: "abandoned", _REASON: reason}
        if not _annotate(self._api, self._place(number), revision.version, change):
            raise _taken_over(number)

    def adopt(self, number: int) -> bool:
        """Hold a release that nobody works on; False where somebody does, or did."""
        for revision in self.unfinished():
            if revision.release.number == number:
                mine = {_HOLDER: self._holder, _RENEWED: _now(self._api)}
                place = self._place(number)
                if changed := _annotate(self._api, place, revision.version, mine):
                    hold = _Hold(self._api, place, changed, self._holder)
                    self._held[number] = hold
                    return True
        return False

    def busy(self) -> list[Release]:
        """Open releases that somebody else works on."""
        return [revision.release for revision in self._open(dead=False)]

    def unfinished(self) -> list[Revision]:
        """Open releases that nobody works on any more."""
        return self._open(dead=True)

    def last_of(self, name: str) -> Release | None:
        """The last release of others that changed an application."""
        found = [
            revision.release
            for revision in self.all()
            if name in revision.release.documents
            and revision.release.outcome != "failed"
            and revision.release.number not in self._held
        ]
        return found[-1] if found else None

    def close(self) -> None:
        """Let go of what is held: whoever comes next need not wait."""
        for hold in self._held.values():
            hold.end({_RENEWED: ""})
        self._held.clear()

    # ---

    def _open(self, *, dead: bool) -> list[Revision]:
        found = [
            revision
            for revision in self.all()
            if revision.release.outcome == "open"
            and revision.release.number not in self._held
        ]
        now = self._api.time() if found else 0
        return [r for r in found if (now - r.renewed > _DEAD_SECONDS) == dead]

    def _create(
        self,
        make: Callable[[int], Release],
        *,
        before: Documents,
    ) -> tuple[Release, dict[str, Any]]:
        """A release under the next free number, and the object that it is."""
        owner = self._service.there()
        while True:
            numbers = (revision.release.number for revision in self.all())
            release = make(max(numbers, default=0) + 1)
            body = self._body(release, before, owner)
            if made := self._api.create(self._path, body):
                return release, made

    def _place(self, number: int) -> str:
        return f"{self._path}/{self._name(number)}"

    def _name(self, number: int) -> str:
        return f"{self._service.stack}-release-{number}"

    def _body(
        self, release: Release, before: Documents, owner: dict[str, Any]
    ) -> dict[str, Any]:
        kept = dataclasses.asdict(release)
        outcome = kept.pop("outcome"), kept.pop("reason")
        return {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": self._name(release.number),
                "labels": {
                    STACK_LABEL: self._service.stack,
                    _NUMBER: str(release.number),
                },
                "annotations": {
                    _OUTCOME: outcome[0],
                    _REASON: outcome[1],
                    _HOLDER: self._holder,
                    _RENEWED: _now(self._api),
                },
                "ownerReferences": [
                    {
                        "apiVersion": owner["apiVersion"],
                        "kind": owner["kind"],
                        "name": owner["metadata"]["name"],
                        "uid": owner["metadata"]["uid"],
                    }
                ],
            },
            "revision": release.number,
            "data": {**kept, "before": dict(before)},
        }

    def _prune(self) -> None:
        """Keep the newest, and whatever an application would go back to."""
        releases = [revision.release for revision in self.all()]
        last: dict[str, int] = {}
        for release in releases:
            if release.outcome == "good":
                last |= dict.fromkeys(release.documents, release.number)
        for release in releases[:-_KEPT]:
            if release.outcome != "open" and release.number not in last.values():
                self._api.delete(self._place(release.number))


class _Hold:
    """A release that this process works on, and a thread that renews it."""

    def __init__(
        self, api: Api, place: str, revision: dict[str, Any], holder: str
    ) -> None:
        self.documents = revision["data"]["documents"]
        self._api, self._place, self._holder = api, place, holder
        self._version = revision["metadata"]["resourceVersion"]
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, daemon=True)
        self._thread.start()

    def renew(self) -> bool:
        """Say that it is worked on; False where somebody else has it now."""
        return self._say({_RENEWED: _now(self._api)})

    def end(self, change: dict[str, str]) -> bool:
        """Renew no more; the change is the last that is said of it.

        False where somebody else has it now.
        """
        deadline = time.monotonic() + _CLOSE_SECONDS
        while True:
            try:
                said = self._say(change)
            except Unreachable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
            else:
                self._ended.set()
                self._thread.join()
                return said

    def _keep(self) -> None:
        while not self._ended.wait(_RENEW_SECONDS):
            try:
                if not self.renew():
                    return
            except RayliftError:
                continue  # it may answer next time; if not, others take over

    def _say(self, change: dict[str, str]) -> bool:
        with self._lock:
            while not (
                changed := _annotate(self._api, self._place, self._version, change)
            ):
                # Ours all the same, where the answer to a change was lost.
                found = self._api.get(self._place)
                if not found or not self._has(found["metadata"]["annotations"], change):
                    return False
                self._version = found["metadata"]["resourceVersion"]
            self._version = changed["metadata"]["resourceVersion"]
            return True

    def _try(self, change: dict[str, str]) -> dict[str, Any] | None:
        return _annotate(self._api, self._place, self._version, change)

    def _has(self, notes: dict[str, str], change: dict[str, str]) -> bool:
        """Whether nobody else has it; it may be ended already, by this very change."""
        ended = notes.get(_OUTCOME) not in ("open", change.get(_OUTCOME))
        return notes.get(_HOLDER) == self._holder and not ended


def _annotate(
    api: Api, place: str, version: str, change: dict[str, str]
) -> dict[str, Any] | None:
    """The revision after a change of its annotations; None where it is too late."""
    body = {"metadata": {"resourceVersion": version, "annotations": change}}
    changed: dict[str, Any] | None = api.patch(
        place, body, "merge-patch+json", wait_s=_WAIT_SECONDS
    )
    return changed


def _now(api: Api) -> str:
    return datetime.fromtimestamp(api.time(wait_s=_WAIT_SECONDS), UTC).isoformat()


def _taken_over(number: int) -> Conflict:
    return Conflict(
        f"release {number} was taken over by somebody else",
        hint="raylift status, then the same command again",
    )


def _revision(found: dict[str, Any]) -> Revision:
    metadata = found["metadata"]
    notes = metadata.get("annotations") or {}
    try:
        data = found["data"]
        before = data["before"]
        release = Release(
            data["number"],
            data["author"],
            data["started"],
            data["documents"],
            outcome=notes[_OUTCOME],
            reason=notes[_REASON],
            back=[(name, document) for name, document in data["back"]],
        )
        renewed = notes[_RENEWED]
        since = datetime.fromisoformat(renewed).timestamp() if renewed else 0.0
    except (KeyError, TypeError, ValueError):
        raise LeftBehind(
            f"controllerrevision {metadata['name']}: not this version's",
            hint=f"kubectl delete controllerrevision {metadata['name']} forgets it",
        ) from None
    return Revision(release, before, since, metadata["resourceVersion"])
