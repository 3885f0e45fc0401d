"""Cluster: what deploy, status and delete need of any target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from raylift.outputs import StackOutputs
    from serve_runtime.dashboard import Dashboard
    from serve_runtime.release import Desired, Outcome, Release


class Cluster(Protocol):
    """One Ray cluster's desired state, its ledger of releases, its package store."""

    outputs: StackOutputs
    dashboard: Dashboard

    def desired(self) -> Desired:
        """What the cluster is meant to run, with the version of that knowledge."""

    def submit(
        self,
        documents: Mapping[str, dict[str, Any] | None],
        *,
        base: Desired,
        options: dict[str, Any],
        back: Sequence[tuple[str, dict[str, Any] | None]] = (),
    ) -> Release:
        """Write these applications into the desired document and open a release.

        Applications that are not named stay as they are. `back` is kept with the
        release, for whoever finds it cut off.

        Raises:
            Conflict: one of them was changed since `base`, or is being deployed.
            InputFailed: Ray refused the document; nothing was changed.
            Unreachable: it is not known whether Ray took it.
        """

    def refuse_busy(self, names: Iterable[str]) -> None:
        """Raise Conflict where one of these applications is being deployed."""

    def reapply(self) -> dict[str, dict[str, Any]]:
        """Write the desired document once more; returns its applications."""

    def rewrite(self, documents: Mapping[str, dict[str, Any] | None]) -> None:
        """Write applications of a release that is open and ours; None: take away."""

    def close(self, release: Release, outcome: Outcome, reason: str = "") -> None:
        """Write down how a release ended."""

    def unfinished(self) -> list[Release]:
        """Releases that nobody is working on any more and that never ended."""

    def adopt(self, release: Release) -> bool:
        """Hold a release that was cut off as our own; False if it is another's now."""

    def upload(self, directory: Path, *, place: str) -> tuple[str, int]:
        """Pack a directory and store it; its URI, and the bytes that were sent.

        Raises:
            InputFailed: the directory may not be shipped as it is.
        """
