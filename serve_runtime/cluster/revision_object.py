"""A release as a ControllerRevision object: annotations and data."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from raylift.errors import Leftovers
from raylift.ray_service_client import STACK_LABEL
from raylift.serve_runtime.release import Release

NUMBER = "raylift.io/release"
OUTCOME, REASON = "raylift.io/outcome", "raylift.io/reason"
HOLDER, RENEWED = "raylift.io/holder", "raylift.io/renewed"


@dataclass(frozen=True, slots=True)
class Revision:
    """A release, the documents it replaced, and when its holder last renewed it.

    `renewed` is in seconds since the epoch, or 0 if it was released. `version` is the
    resourceVersion.
    """

    release: Release
    before: dict[str, dict[str, Any] | None]
    renewed: float
    version: str = field(compare=False)


def name_of(stack: str, number: int) -> str:
    """Return the name of the object for a release."""
    return f"{stack}-release-{number}"


def render(
    release: Release,
    before: dict[str, dict[str, Any] | None],
    *,
    owner: dict[str, Any],
    claim: dict[str, str],
) -> dict[str, Any]:
    """Return the body of a ControllerRevision.

    Args:
        release: The release.
        before: The documents that it replaces.
        owner: The RayService of the stack; the revision is deleted with it.
        claim: The annotations of the holder.
    """
    data = dataclasses.asdict(release)
    outcome, reason = data.pop("outcome"), data.pop("reason")
    stack = owner["metadata"]["name"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": name_of(stack, release.number),
            "labels": {STACK_LABEL: stack, NUMBER: str(release.number)},
            "annotations": {OUTCOME: outcome, REASON: reason, **claim},
            "ownerReferences": [_reference(owner)],
        },
        "revision": release.number,
        "data": {**data, "before": before},
    }


def _reference(owner: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
    }


def parse(body: dict[str, Any]) -> Revision:
    """Return the release that a ControllerRevision records.

    Raises:
        Leftovers: The format belongs to a different version of raylift.
    """
    metadata = body["metadata"]
    annotations = metadata.get("annotations") or {}
    try:
        data = body["data"]
        before = data["before"]
        release = Release(
            data["number"],
            data["author"],
            data["started"],
            data["documents"],
            outcome=annotations[OUTCOME],
            reason=annotations[REASON],
            back=[(name, document) for name, document in data["back"]],
        )
        renewed = _seconds(annotations[RENEWED])
    except (KeyError, TypeError, ValueError):
        name = metadata["name"]
        raise Leftovers(
            f"ControllerRevision {name} was written by a different version of raylift",
            hint=f"run `kubectl delete controllerrevision {name}` to discard it",
        ) from None
    return Revision(release, before, renewed, metadata["resourceVersion"])


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp() if time else 0.0
