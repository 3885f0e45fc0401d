"""Cluster: what deploy, status and delete need of any target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from raylift.outputs import Outputs
    from serve_runtime.dashboard import Dashboard, Node
    from serve_runtime.release import Desired, Outcome, Release


@dataclass(frozen=True, slots=True)
class Holdup:
    """What outside of Ray keeps it from what was written; `final`: it will not change.

    The text is one line, in the words of whoever holds it up.
    """

    text: str
    final: bool


class Cluster(Protocol):
    """One Ray cluster's desired state, its ledger of releases, its package store."""

    dashboard: Dashboard
    ships_splitter: bool
    """Whether a splitter's code is shipped, as Ray's nodes may have no raylift."""
    routed_within_s: float
    """How long the data plane may take to know what Ray runs already, in seconds."""
    silent_for_s: float
    """How long the dashboard may not answer without anything being wrong."""

    @property
    def outputs(self) -> Outputs:
        """What the stack has handed over."""

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

    def refuse_other_address(self, details: dict[str, Any]) -> None:
        """Raise CannotWork where what is deployed would not answer at the cluster's.

        `details` is what Serve says of itself.
        """

    def refuse_busy(self, names: Iterable[str]) -> None:
        """Raise Conflict where one of these applications is being deployed."""

    def rewrite(self, documents: Mapping[str, dict[str, Any] | None]) -> None:
        """Write applications of a release that is open and ours; None: take away."""

    def close(self, release: Release, outcome: Outcome, reason: str = "") -> None:
        """Write down how a release ended."""

    def settle(self, *, say: Callable[[str], None]) -> None:
        """Wait until what is deployed is what every request gets."""

    def could_join(self, there: Iterable[Node]) -> list[Node]:
        """Nodes that an autoscaler would bring beside those that are there."""

    def holdup(self, *, handed_over: bool) -> Holdup | None:
        """Who but Ray keeps it from what was written; None: nobody is known to.

        `handed_over` says whether Ray has got it.
        """

    def notes(self) -> list[str]:
        """What goes on below the applications, a line each; no problem by itself."""

    def unfinished(self) -> list[Release]:
        """Releases that nobody is working on any more and that never ended."""

    def adopt(self, release: Release) -> bool:
        """Hold a release that was cut off as our own; False if it is another's now."""

    def upload(self, directory: Path, *, place: str) -> tuple[str, int]:
        """Pack a directory and store it; its URI, and the bytes that were sent.

        Raises:
            InputFailed: the directory may not be shipped as it is.
        """
