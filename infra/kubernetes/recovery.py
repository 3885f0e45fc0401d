"""Search for objects that an interrupted run created in a cluster.

Pulumi's state does not contain their IDs. `infra/engine/recovery.py` imports them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from raylift.ray_service_client import STACK_LABEL

if TYPE_CHECKING:
    from raylift.kube_api import Api

CHART = "kubernetes:helm.sh/v3:Release"
_INTERRUPTED = "status in (pending-upgrade,pending-rollback)"


class KubernetesRecovery:
    """Recovery of one stack's objects and Helm releases in a cluster."""

    def __init__(self, stack: str, api: Api) -> None:
        self._stack = stack
        self._api = api

    def find(self, kind: str, inputs: dict[str, Any], _: set[str]) -> str | None:
        """Return the ID of the object with these inputs, if the stack owns it."""
        if kind == CHART:
            return self._release(inputs)
        body = self._api.get(_path(inputs))
        labels = body["metadata"].get("labels", {}) if body else {}
        if labels.get(STACK_LABEL) != self._stack:
            return None
        return _identifier(inputs["metadata"])

    def becomes_usable(self, kind: str, _: str) -> bool:
        """Return whether a created resource is complete; a Helm release may not be."""
        return bool(kind != CHART)

    def free(self, inputs: dict[str, Any]) -> None:
        """Delete the revisions of a Helm release whose upgrade was interrupted.

        Helm refuses to change a release that has such a revision.
        """
        for revision in self._revisions(inputs, f",{_INTERRUPTED}"):
            self._api.delete(f"{_secrets(inputs)}/{revision['metadata']['name']}")

    def _release(self, inputs: dict[str, Any]) -> str | None:
        """Return the ID of a Helm release, if its installation has started."""
        name = f"{inputs['namespace']}/{inputs['name']}"
        return name if self._revisions(inputs) else None

    def _revisions(self, inputs: dict[str, Any], condition: str = "") -> list[Any]:
        """Return the Secrets in which Helm stores the revisions of a release."""
        selector = f"owner=helm,name={inputs['name']}{condition}"
        return self._api.items(_secrets(inputs), labelSelector=selector)


def _secrets(inputs: dict[str, Any]) -> str:
    return f"/api/v1/namespaces/{inputs['namespace']}/secrets"


def _identifier(metadata: dict[str, Any]) -> str:
    """Return an object's ID as the Pulumi provider forms it: `namespace/name`."""
    space = metadata.get("namespace")
    return f"{space}/{metadata['name']}" if space else str(metadata["name"])


def _path(inputs: dict[str, Any]) -> str:
    """Return an object's path on the API server.

    The plural is correct for all kinds that a stack creates.
    """
    version, kind = inputs["apiVersion"], inputs["kind"].lower()
    plural = re.sub(r"y$", "ie", kind) if kind.endswith("y") else kind
    plural += "es" if kind.endswith("s") else "s"
    root = f"/apis/{version}" if "/" in version else f"/api/{version}"
    metadata = inputs["metadata"]
    space = metadata.get("namespace")
    scope = f"/namespaces/{space}" if space else ""
    return f"{root}{scope}/{plural}/{metadata['name']}"
