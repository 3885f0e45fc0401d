"""Readiness of a Ray service after `up`, and the updates that KubeRay omits.

A Ray service is ready when the head of its newest Ray cluster responds.

KubeRay 1.6 creates another cluster for most changes to `rayClusterConfig`. It does not
apply changes to `minReplicas` and `maxReplicas` to a running cluster. While
`serveConfigV2` is missing, it does neither, because Serve rejects its requests.
Source: ray-operator/controllers/ray/rayservice_controller.go.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lightkube.utils.quantity import parse_quantity

from raylift.errors import FailedPrecondition, Unreachable
from raylift.pod_troubles import conditions
from raylift.ray_service_client import RayServiceClient, clusters_of
from raylift.ray_service_updates import BOUNDS, apply_bounds, set_empty_config

if TYPE_CHECKING:
    from collections.abc import Callable

    from raylift.kube_api import Api

_AMOUNTS = ("limits", "requests")  # quantities by resource
_SECONDS = 900.0
_POLL_SECONDS = 1.0
_CREATING = "waiting for KubeRay to create the Ray cluster"


@dataclass(frozen=True, slots=True)
class RayServiceState:
    """A snapshot of a Ray service: its configuration and its newest cluster.

    `config` contains only the fields whose change creates another cluster. `cluster` is
    the name and generation of a RayCluster. Both are None if missing.
    """

    config: dict[str, Any] | None
    cluster: tuple[str, int] | None


class RayServiceWatch:
    """The Ray service of a stack, observed through the API server."""

    def __init__(self, api: Api, namespace: str, stack: str) -> None:
        self._api = api
        self._ray = RayServiceClient(api, namespace, stack)

    def look(self) -> RayServiceState:
        """Return the current state of the Ray service."""
        service, ray = self._ray.with_cluster()
        config = _replacing(service["spec"]["rayClusterConfig"]) if service else None
        return RayServiceState(config, _identity(ray))

    def wait(self, before: RayServiceState, *, say: Callable[[str], None]) -> None:
        """Wait until the head of the required cluster responds.

        `before` is the state before any change by Pulumi.

        Raises:
            FailedPrecondition: The head pod can never start (the error has the reason),
                or the RayService was deleted.
            PermissionDenied: The API server refuses a request.
            Unreachable: The head did not respond within 15 minutes.
        """
        if self._ray.get() is None:
            stack = self._ray.stack
            raise FailedPrecondition(
                f"RayService '{stack}' was deleted, but Pulumi's state contains it",
                hint=f"run `pulumi refresh -s {stack}`, then the same command again",
            )
        set_empty_config(self._ray)
        changed = before.config is not None and self.look().config != before.config
        self._wait_for_head(before.cluster if changed else None, say)
        apply_bounds(self._ray)

    def _wait_for_head(
        self, outdated: tuple[str, int] | None, say: Callable[[str], None]
    ) -> None:
        deadline, last = time.monotonic() + _SECONDS, ""
        while waiting := self._waiting_for(outdated):
            if waiting != last:
                say(waiting)
                last = waiting
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"the stack is not ready after {_SECONDS:.0f} s: {waiting}",
                    hint="run the same command again",
                )
            time.sleep(_POLL_SECONDS)

    def _waiting_for(self, outdated: tuple[str, int] | None) -> str:
        """Return what the head waits for, or "" if it responds.

        `outdated` is a cluster that KubeRay is going to replace.
        """
        try:
            return self._missing(outdated)
        except Unreachable as error:  # a control plane node may be restarting
            return str(error)

    def _missing(self, outdated: tuple[str, int] | None) -> str:
        service, ray = self._ray.with_cluster()
        if ray is None:
            return _CREATING
        name = ray["metadata"]["name"]
        if _identity(ray) == outdated:
            if clusters_of(service).pending == name:
                self._delete_without_head(name)
            return _CREATING
        if [c["status"] for c in conditions(ray, "HeadPodReady")] != ["True"]:
            return f"waiting for the head of {name}{self._trouble(name)}"
        head = self._ray.head_of(name)
        if head and self._ray.request_dashboard(head, "GET", "/api/version").is_success:
            return ""
        return "waiting for Ray's dashboard"

    def _delete_without_head(self, pending: str) -> None:
        """Delete an outdated pending cluster if it has no head.

        Until its head exists, KubeRay 1.6 ignores every change of the RayService. After
        the deletion, it creates the cluster again from the current spec.
        """
        if not self._ray.pods(pending, "head"):
            self._api.delete(f"{self._ray.ray}/rayclusters/{pending}")

    def _trouble(self, name: str) -> str:
        """Return why the head's pod is not running, as Kubernetes reports it.

        Raises:
            FailedPrecondition: The pod can never start.
        """
        for trouble in self._ray.troubles(name, "head"):
            if trouble.is_permanent:
                raise FailedPrecondition(f"the head cannot start: {trouble.text}")
            return f": {trouble.text}"
        return ""


def _identity(ray: dict[str, Any] | None) -> tuple[str, int] | None:
    return (ray["metadata"]["uid"], ray["metadata"]["generation"]) if ray else None


def _replacing(config: dict[str, Any]) -> dict[str, Any]:
    """Return the fields whose change creates another cluster.

    They exclude bounds and tolerations. KubeRay compares quantities by value, and an
    empty field equals a missing one.
    """
    config = _normal(config)
    groups = config.get("workerGroupSpecs") or []
    for group in groups:
        for key in ("replicas", *BOUNDS):
            group.pop(key, None)
    for part in (config["headGroupSpec"], *groups):
        part["template"]["spec"].pop("tolerations", None)
    return config


def _normal(value: Any, *, is_amounts: bool = False) -> Any:  # noqa: ANN401 JSON
    """Return a copy without empty fields, and with quantities as numbers."""
    match value:
        case dict() if is_amounts:
            return {key: parse_quantity(str(amount)) for key, amount in value.items()}
        case dict():
            fields = (
                (key, _normal(field, is_amounts=key in _AMOUNTS))
                for key, field in value.items()
            )
            return {key: field for key, field in fields if field not in ({}, [])}
        case list():
            return [_normal(item) for item in value]
        case _:
            return value
