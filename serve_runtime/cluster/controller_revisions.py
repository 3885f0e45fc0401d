"""The ledger of releases on Kubernetes: one ControllerRevision for each.

The data of a ControllerRevision is immutable. The outcome of a release, and the process
that works on it, are therefore annotations.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
import uuid
from typing import TYPE_CHECKING, Any

from raylift.errors import Conflict, RayliftError
from raylift.ray_service_client import STACK_LABEL
from raylift.serve_runtime.cluster.revision_claim import Claim, annotate, now
from raylift.serve_runtime.cluster.revision_object import (
    HOLDER,
    NUMBER,
    OUTCOME,
    REASON,
    RENEWED,
    name_of,
    parse,
    render,
)
from raylift.serve_runtime.release import Release, author

if TYPE_CHECKING:
    from collections.abc import Callable

    from raylift.ray_service_client import RayServiceClient
    from raylift.serve_runtime.cluster.revision_object import Revision
    from raylift.serve_runtime.release import Outcome, Submission

_EXPIRED_SECONDS = 15.0
_MAX_RELEASES = 50


class ControllerRevisions:
    """The releases of a stack, and the claims of this process on releases."""

    def __init__(self, service: RayServiceClient) -> None:
        self._service = service
        self._api = service.api
        root = service.core.replace("/api/v1", "/apis/apps/v1", 1)
        self._path = f"{root}/controllerrevisions"
        self._holder = f"{author()}/{uuid.uuid4().hex[:8]}"
        self._claims: dict[int, Claim] = {}

    def all(self) -> list[Revision]:
        """Return every recorded release, the oldest first."""
        selector = f"{STACK_LABEL}={self._service.stack},{NUMBER}"
        objects = self._api.items(self._path, labelSelector=selector)
        return sorted(map(parse, objects), key=lambda each: each.release.number)

    def good(self) -> dict[str, dict[str, Any]]:
        """Return the last document of each application that was confirmed to serve.

        For an application without a good release, return the document that its first
        release replaced.
        """
        good: dict[str, dict[str, Any] | None] = {}
        for revision in self.all():
            for name, document in revision.release.documents.items():
                if good.get(name) is None:
                    good[name] = revision.before.get(name)
                if revision.release.outcome == "good":
                    good[name] = document
        return {name: doc for name, doc in good.items() if doc is not None}

    def open(self, submission: Submission) -> Release:
        """Record a release and claim it for this process."""
        release, revision = self._create(
            lambda number: Release(
                number,
                author(),
                time.time(),
                dict(submission.documents),
                back=list(submission.rollback),
            ),
            before=submission.replaced,
        )
        self._claim(release.number, revision)
        return release

    def refuse_lost(self) -> None:
        """Renew all claims; raise Conflict if another process took one over."""
        for number, claim in self._claims.items():
            if not claim.renew():
                raise _taken_over(number)

    def end(self, release: Release, outcome: Outcome, reason: str) -> None:
        """Record the outcome of a release and give up its claim.

        If the documents of a good release changed after it started, they are recorded
        as another release, because the data of a revision is immutable.

        Raises:
            Conflict: Another process took it over.
            Unreachable: The outcome could not be written.
        """
        claim = self._claims[release.number]
        if outcome == "good" and release.documents != claim.documents:
            if not claim.renew():
                raise _taken_over(release.number)
            self._create(
                lambda number: dataclasses.replace(
                    release, number=number, outcome=outcome, back=[]
                ),
                before={},
            )
        if not claim.end({OUTCOME: outcome, REASON: reason}):
            raise _taken_over(release.number)
        del self._claims[release.number]
        with contextlib.suppress(RayliftError):  # the next release prunes again
            self._prune()

    def abandon(self, revision: Revision, reason: str) -> None:
        """Close the release of an interrupted run.

        Raises:
            Conflict: Another process is working on it.
        """
        number = revision.release.number
        outcome = {OUTCOME: "abandoned", REASON: reason}
        if not annotate(self._api, self._path_of(number), revision.version, outcome):
            raise _taken_over(number)

    def adopt(self, number: int) -> bool:
        """Claim an interrupted release; return False if another process has it."""
        for revision in self.unfinished():
            if revision.release.number == number:
                path, claim = self._path_of(number), self._new_claim()
                if changed := annotate(self._api, path, revision.version, claim):
                    self._claim(number, changed)
                    return True
        return False

    def busy(self) -> list[Release]:
        """Return the open releases that another process works on."""
        return [revision.release for revision in self._open(expired=False)]

    def unfinished(self) -> list[Revision]:
        """Return the open releases that no process works on."""
        return self._open(expired=True)

    def last_of(self, name: str) -> Release | None:
        """Return the last release of another process that changed an application."""
        releases = [
            revision.release
            for revision in self.all()
            if name in revision.release.documents
            and revision.release.outcome != "failed"
            and revision.release.number not in self._claims
        ]
        return releases[-1] if releases else None

    def close(self) -> None:
        """Give up all claims, so that the next run does not have to wait for them."""
        for claim in self._claims.values():
            claim.end({RENEWED: ""})
        self._claims.clear()

    # ---

    def _open(self, *, expired: bool) -> list[Revision]:
        revisions = [
            revision
            for revision in self.all()
            if revision.release.outcome == "open"
            and revision.release.number not in self._claims
        ]
        now_s = self._api.time() if revisions else 0
        return [
            revision
            for revision in revisions
            if (now_s - revision.renewed > _EXPIRED_SECONDS) == expired
        ]

    def _create(
        self,
        make: Callable[[int], Release],
        *,
        before: dict[str, dict[str, Any] | None],
    ) -> tuple[Release, dict[str, Any]]:
        """Create a release with the next free number; return it and its object."""
        owner = self._service.require()
        while True:
            numbers = (revision.release.number for revision in self.all())
            release = make(max(numbers, default=0) + 1)
            body = render(release, before, owner=owner, claim=self._new_claim())
            if created := self._api.create(self._path, body):
                return release, created

    def _claim(self, number: int, revision: dict[str, Any]) -> None:
        path = self._path_of(number)
        self._claims[number] = Claim(self._api, path, revision, self._holder)

    def _new_claim(self) -> dict[str, str]:
        return {HOLDER: self._holder, RENEWED: now(self._api)}

    def _path_of(self, number: int) -> str:
        return f"{self._path}/{name_of(self._service.stack, number)}"

    def _prune(self) -> None:
        """Delete releases, except the newest and the last good one per application."""
        releases = [revision.release for revision in self.all()]
        last_good: dict[str, int] = {}
        for release in releases:
            if release.outcome == "good":
                last_good |= dict.fromkeys(release.documents, release.number)
        for release in releases[:-_MAX_RELEASES]:
            if release.outcome != "open" and release.number not in last_good.values():
                self._api.delete(self._path_of(release.number))


def _taken_over(number: int) -> Conflict:
    return Conflict(
        f"release {number} was taken over by another process",
        hint="run `raylift status`, then run the same command again",
    )
