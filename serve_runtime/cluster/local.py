"""The cluster of a local stack: PUT requests to Ray under a file lock.

Ray's PUT replaces all applications without checking a version, so concurrent writers
could lose updates. Read, merge and PUT therefore share a lock, which the kernel
releases if the process is killed.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from raylift.errors import InvalidInput, RayliftError
from raylift.serve_runtime.cluster.conflicts import changed, refuse_overlap
from raylift.serve_runtime.cluster.local_address import (
    has_moved,
    options_at,
    refuse_other_address,
)
from raylift.serve_runtime.cluster.local_ledger import LocalLedger
from raylift.serve_runtime.cluster.local_put import Change, live
from raylift.serve_runtime.ray_api.dashboard import Rejected
from raylift.serve_runtime.release import merged
from raylift.state_files import locked

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from raylift.outputs import LocalOutputs
    from raylift.serve_runtime.cluster.protocol import Blocker
    from raylift.serve_runtime.ray_api.dashboard import Dashboard, RayNode
    from raylift.serve_runtime.release import (
        Desired,
        Documents,
        Outcome,
        Release,
        Submission,
    )

_LOCK_SECONDS = 120


class LocalCluster:
    """The desired state, ledger and packages in the stack's state directory."""

    ships_splitter = False
    deletes_imperative = True
    routed_within_s = 30.0
    silent_for_s = 5.0

    def __init__(self, outputs: LocalOutputs, dashboard: Dashboard) -> None:
        self.outputs = outputs
        self.dashboard = dashboard
        self._ledger = LocalLedger(outputs.state_dir)

    def desired(self) -> Desired:
        """Return the desired state that was written last."""
        return self._ledger.desired()

    def submit(self, submission: Submission) -> Release:
        """Open a release, send a PUT request, and save the desired state."""
        documents = submission.documents
        with self._locked():
            current = self.desired()
            self.refuse_busy(documents)
            self._refuse_changed(submission, current)
            self._ledger.abandon(documents)
            release = self._ledger.open(submission, after=current.version)
            options = submission.options or current.options
            submitted = dataclasses.replace(
                current, version=release.number, options=options
            )
            try:
                self._put(submitted, documents, undo=current)
            except RayliftError as error:
                self.close(release, "failed", str(error))
                if isinstance(error, Rejected):
                    raise InvalidInput.at("", str(error)) from None
                raise
            return release

    def refuse_busy(self, names: Iterable[str]) -> None:
        """Raise Conflict if a process is deploying one of these applications."""
        refuse_overlap(names, self._ledger.busy())

    def reapply(self) -> dict[str, dict[str, Any]]:
        """Send the desired state with the current address of the stack; return it."""
        with self._locked():
            current = self.desired()
            self._put(current, {})
            return current.applications

    def rewrite(self, documents: Documents) -> None:
        """Send these documents without opening a release."""
        with self._locked():
            self._put(self.desired(), documents)

    def close(self, release: Release, outcome: Outcome, reason: str = "") -> None:
        """Record the outcome; `good` makes the documents the target of rollbacks."""
        if outcome == "good":
            with self._locked():
                current = self.desired()
                good = merged(current.good, release.documents)
                self._ledger.save(dataclasses.replace(current, good=good))
        self._ledger.close(dataclasses.replace(release, outcome=outcome, reason=reason))

    def refuse_other_address(self, details: dict[str, Any]) -> None:
        """Raise FailedPrecondition if Serve uses, or would use, another address."""
        refuse_other_address(self.outputs, details)

    def has_moved(self, details: dict[str, Any]) -> bool:
        """Return whether Serve runs at a different address from the stack's."""
        return has_moved(self.outputs, details)

    def wait_until_settled(self, *, say: Callable[[str], None]) -> None:
        """Do nothing, because there is only one Ray cluster."""

    def potential_nodes(self, _: Iterable[RayNode]) -> list[RayNode]:
        """Return no nodes, because a local stack does not scale."""
        return []

    def blocker(self, *, delivered: bool) -> Blocker | None:
        """Return None, because raylift sends the desired state to Ray directly."""
        del delivered
        return None

    def notices(self) -> list[str]:
        """Return no notices."""
        return []

    def unfinished(self) -> list[Release]:
        """Return the open releases whose lock is free."""
        return self._ledger.unfinished()

    def adopt(self, release: Release) -> bool:
        """Take the lock of an interrupted release."""
        return self._ledger.adopt(release)

    def upload(
        self, directory: Path, *, location: str, excludes: Sequence[str] = ()
    ) -> tuple[str, int]:
        """Store a package in `.raylift/<stack>/packages`, named by its content."""
        from raylift.serve_runtime.packaging.package import pack

        store = self.outputs.state_dir / "packages"
        package = pack(directory, store=store, location=location, excludes=excludes)
        return package.path.as_uri(), package.size if package.built else 0

    # ---

    def _put(
        self, state: Desired, documents: Documents, *, undo: Desired | None = None
    ) -> None:
        """Send a state that is changed by these documents, then save it.

        Applications that other tools deployed with PUT remain in the request, because
        Ray deletes applications that are missing from it. If Ray rejects the change or
        does not respond, it is left in the state `undo`, if given.
        """
        details = self.dashboard.serve_details()
        change = Change(
            documents,
            merged({**live(details), **state.applications}, dict.fromkeys(documents)),
            self._options(state),
            self._options(undo or state),
        )
        change.send(self.dashboard, details, undo=undo is not None)
        applications = merged(state.applications, documents)
        self._ledger.save(dataclasses.replace(state, applications=applications))

    def _options(self, state: Desired) -> dict[str, Any]:
        return {**state.options, **options_at(self.outputs, state.options)}

    def _refuse_changed(self, submission: Submission, current: Desired) -> None:
        for name, document in submission.replaced.items():
            if current.applications.get(name) != document:
                raise changed(name, self._ledger.last_of(name))

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return locked(
            self.outputs.state_dir / "desired.lock",
            what=f"the applications of stack '{self.outputs.stack}'",
            wait_s=_LOCK_SECONDS,
        )
