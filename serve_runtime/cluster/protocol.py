"""The cluster operations that `deploy`, `status` and `delete` require."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from raylift.outputs import Outputs
    from raylift.serve_runtime.ray_api.dashboard import Dashboard, RayNode
    from raylift.serve_runtime.release import (
        Desired,
        Documents,
        Outcome,
        Release,
        Submission,
    )


@dataclass(frozen=True, slots=True)
class Blocker:
    """A reason outside Ray why the desired state is not reached.

    The text is one line, as reported by the other system. A `final` blocker does not
    resolve on its own.
    """

    text: str
    final: bool


class Cluster(Protocol):
    """A Ray cluster: its desired state, release ledger and package store."""

    dashboard: Dashboard
    ships_splitter: bool
    """Whether splitter code must be uploaded because nodes may not have raylift."""
    deletes_imperative: bool
    """Whether applications that code created by `serve.run` can be deleted."""
    routed_within_s: float
    """Maximum time until the data plane routes to a running application, in seconds."""
    silent_for_s: float
    """Maximum time that the dashboard may be unavailable, in seconds."""

    @property
    def outputs(self) -> Outputs:
        """The outputs of the stack."""

    def desired(self) -> Desired:
        """Return the desired state."""

    def submit(self, submission: Submission) -> Release:
        """Write the documents of a submission and open a release.

        Other applications keep their documents.

        Raises:
            Conflict: An application was changed since `base`, or is being deployed.
            InvalidInput: Ray rejected the documents; nothing was changed.
            Unreachable: Ray may or may not have accepted the documents.
        """

    def refuse_other_address(self, details: dict[str, Any]) -> None:
        """Check that Serve listens, or would listen, at the address of the stack.

        `details` is Ray's ServeInstanceDetails.

        Raises:
            FailedPrecondition: The address differs.
        """

    def refuse_busy(self, names: Iterable[str]) -> None:
        """Raise Conflict if one of these applications is being deployed."""

    def rewrite(self, documents: Documents) -> None:
        """Write more documents for a release that this process holds."""

    def close(self, release: Release, outcome: Outcome, reason: str = "") -> None:
        """Record the outcome of a release and unlock it."""

    def wait_until_settled(self, *, say: Callable[[str], None]) -> None:
        """Wait until a single Ray cluster receives all requests."""

    def potential_nodes(self, existing: Iterable[RayNode]) -> list[RayNode]:
        """Return the nodes that an autoscaler could add to the existing ones."""

    def blocker(self, *, delivered: bool) -> Blocker | None:
        """Return what prevents the desired state from being reached, if known.

        `delivered` states whether Ray has received the desired state.
        """

    def notices(self) -> list[str]:
        """Return one line for each notable event in the cluster. None is a problem."""

    def unfinished(self) -> list[Release]:
        """Return the open releases of interrupted runs."""

    def adopt(self, release: Release) -> bool:
        """Take over the release of an interrupted run.

        Returns False if another process holds it or has closed it.
        """

    def upload(
        self, directory: Path, *, location: str, excludes: Sequence[str] = ()
    ) -> tuple[str, int]:
        """Package a directory and store it.

        Returns its URI and the number of bytes sent.

        Raises:
            InvalidInput: The directory cannot be uploaded.
        """
