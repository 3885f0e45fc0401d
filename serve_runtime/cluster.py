"""Cluster: what deploy, status and delete need of any target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
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
    ) -> Release:
        """Write these applications into the desired document and open a release.

        Applications that are not named stay as they are.

        Raises:
            Conflict: one of them was changed since `base`, or is being deployed.
            InputFailed: Ray refused the document; nothing was changed.
            Unreachable: it is not known whether Ray took it.
        """

    def reapply(self) -> dict[str, dict[str, Any]]:
        """Write the desired document once more; returns its applications."""

    def restore(self, release: Release) -> dict[str, dict[str, Any] | None]:
        """Put the last good document of each application of a release back.

        An application that never was good is taken away. Returns what was written.
        """

    def close(self, release: Release, outcome: Outcome, reason: str = "") -> None:
        """Write down how a release ended."""

    def unfinished(self) -> list[Release]:
        """Releases that nobody is working on any more and that never ended."""

    def upload(self, directory: Path, *, place: str) -> tuple[str, int]:
        """Pack a directory and store it; its URI, and the bytes that were sent.

        Raises:
            InputFailed: the directory may not be shipped as it is.
        """
