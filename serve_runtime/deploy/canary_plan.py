"""The application, splitter and documents of a canary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raylift.errors import Conflict, FailedPrecondition, InvalidInput
from raylift.serve_runtime.serve_config.splitters import (
    DEPLOY_SPLITTER,
    split_of,
    with_split,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raylift.serve_runtime.cluster.protocol import Cluster
    from raylift.serve_runtime.deploy.plan import ApplicationChange
    from raylift.serve_runtime.deploy.prepare import Prepared

SUFFIX = "-canary"


@dataclass(frozen=True, slots=True)
class Canary:
    """An application whose new version runs beside the old one.

    `arm` is the name of the application, `old` and `new` are its documents. `splits` is
    the original document of its `splitter`; `weights` are its weights. `beside` is the
    new document with its name and route during the canary.
    """

    arm: str
    old: dict[str, Any]
    new: dict[str, Any]
    splitter: str
    splits: dict[str, Any]
    weights: dict[str, float]
    beside: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the new version during the canary."""
        return str(self.beside["name"])

    @property
    def rollback(self) -> list[tuple[str, dict[str, Any] | None]]:
        """The writes that restore the old version, before it receives traffic again."""
        return [
            (self.arm, self.old),
            (self.splitter, self.splits),
            (self.name, None),
        ]

    def shifted(
        self, percent: float, *, lease: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """Return the splitter's document with a share of the arm's traffic shifted.

        When the lease expires, the splitter shifts the traffic back.
        """
        full_lease = {**lease, "arms": self._weights(0)} if lease else None
        return with_split(self.splits, arms=self._weights(percent), lease=full_lease)

    def _weights(self, percent: float) -> dict[str, float]:
        weight = self.weights[self.arm] / 100
        shifted = {self.arm: weight * (100 - percent), self.name: weight * percent}
        return {**self.weights, **shifted}


def prepare_canary(cluster: Cluster, prepared: Prepared) -> Canary | None:
    """Return the canary for a plan, or None if the plan is a no-op.

    Raises:
        InvalidInput: More than one application changes.
        FailedPrecondition: The application has no old version, or not exactly one
            splitter.
        Conflict: An application is being deployed, or the canary's name is taken.
    """
    cluster.refuse_busy(prepared.plan.documents)
    change = _only_change(prepared)
    if change is None:
        return None
    arm = change.application
    new = _new_document(prepared, change)
    splitter, weights = _splitter_of(arm, prepared.running)
    return Canary(
        arm=arm,
        old=prepared.running[arm],
        new=new,
        splitter=splitter,
        splits=prepared.running[splitter],
        weights=weights,
        beside=_beside(arm, new, running=prepared.running),
    )


def _only_change(prepared: Prepared) -> ApplicationChange | None:
    submitted = prepared.plan.documents
    changes = [c for c in prepared.plan.changes if c.application in submitted]
    if len(changes) > 1:
        names = ", ".join(change.application for change in changes)
        raise InvalidInput.at(
            "", f"a canary changes exactly one application, but {names} would change"
        )
    return changes[0] if changes else None


def _new_document(prepared: Prepared, change: ApplicationChange) -> dict[str, Any]:
    arm, document = change.application, prepared.plan.documents[change.application]
    hint = "run `raylift deploy` without --canary"
    if change.action == "create":
        raise FailedPrecondition(
            f"a canary of '{arm}' needs a running version to compare with; found none",
            hint=hint,
        )
    if document is None:
        raise FailedPrecondition(
            f"a canary of '{arm}' needs a new version, but this deploy deletes the"
            " application",
            hint=hint,
        )
    return document


def _splitter_of(
    arm: str, running: Mapping[str, dict[str, Any]]
) -> tuple[str, dict[str, float]]:
    """Return the name and the weights of the splitter that routes to an application."""
    splitters = {
        name: split.arms
        for name, document in running.items()
        if (split := split_of(document)) and split.arms.get(arm)
    }
    if len(splitters) != 1:
        raise FailedPrecondition(
            f"a canary of '{arm}' needs exactly one splitter that routes to it; found"
            f" {', '.join(splitters) or 'none'}",
            hint=DEPLOY_SPLITTER,
        )
    return next(iter(splitters.items()))


def _beside(
    arm: str, new: dict[str, Any], *, running: Mapping[str, dict[str, Any]]
) -> dict[str, Any]:
    """Return the new document under a separate name and route."""
    name = f"{arm}{SUFFIX}"
    if name in running:
        raise Conflict(
            f"application '{name}' already exists, but the canary needs its name",
            hint=f"if no canary is running, run `raylift delete {name}`",
        )
    route = f"{new.get('route_prefix') or '/'}".rstrip("/") or f"/{arm}"
    return {**new, "name": name, "route_prefix": f"{route}{SUFFIX}"}
