"""What a killed run had begun to make in a cluster: objects that no state knows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from raylift.ray_service import STACK_LABEL

if TYPE_CHECKING:
    from raylift.kubernetes import Api

CHART = "kubernetes:helm.sh/v3:Release"
_HELD = "status in (pending-upgrade,pending-rollback)"


class BegunInCluster:
    """Looks for objects that carry the label of one stack."""

    def __init__(self, stack: str, api: Api) -> None:
        self._stack = stack
        self._api = api

    def find(self, kind: str, inputs: dict[str, Any], _: set[str]) -> str | None:
        """The ID of what was to be made of these inputs, if it is there and ours."""
        if kind == CHART:
            return self._release(inputs)
        found = self._api.get(_path(inputs))
        labels = found["metadata"].get("labels", {}) if found else {}
        if labels.get(STACK_LABEL) != self._stack:
            return None
        return _identifier(inputs["metadata"])

    def becomes_usable(self, kind: str, _: str) -> bool:
        """A chart may be half installed; an object is there or not."""
        return bool(kind != CHART)

    def free(self, inputs: dict[str, Any]) -> None:
        """Take away a chart's revision that never came to be.

        While there is one, Helm refuses to touch the chart.
        """
        for revision in self._revisions(inputs, f",{_HELD}"):
            self._api.delete(f"{_secrets(inputs)}/{revision['metadata']['name']}")

    def _release(self, inputs: dict[str, Any]) -> str | None:
        """The chart, if Helm has begun it."""
        name = f"{inputs['namespace']}/{inputs['name']}"
        return name if self._revisions(inputs) else None

    def _revisions(self, inputs: dict[str, Any], more: str = "") -> list[Any]:
        """What Helm has installed of a chart; it keeps that in Secrets."""
        selector = f"owner=helm,name={inputs['name']}{more}"
        return self._api.items(_secrets(inputs), labelSelector=selector)


def _secrets(inputs: dict[str, Any]) -> str:
    return f"/api/v1/namespaces/{inputs['namespace']}/secrets"


def _identifier(metadata: dict[str, Any]) -> str:
    """As the provider names an object: namespace/name."""
    space = metadata.get("namespace")
    return f"{space}/{metadata['name']}" if space else str(metadata["name"])


def _path(inputs: dict[str, Any]) -> str:
    """Where the API server has an object; plurals are those of the kinds we make."""
    version, kind = inputs["apiVersion"], inputs["kind"].lower()
    plural = re.sub(r"y$", "ie", kind) if kind.endswith("y") else kind
    plural += "es" if kind.endswith("s") else "s"
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    metadata = inputs["metadata"]
    space = metadata.get("namespace")
    scope = f"/namespaces/{space}" if space else ""
    return f"{root}{scope}/{plural}/{metadata['name']}"
