"""A Ray service as KubeRay runs it: what Pulumi leaves to do, and when it is up.

KubeRay 1.6 raises another cluster for most changes of `rayClusterConfig`, but passes
changes of `minReplicas` and `maxReplicas` on to nobody, and comes to neither while
Serve refuses what it posts for lack of a `serveConfigV2`.
(ray-operator/controllers/ray/rayservice_controller.go)
"""

from __future__ import annotations

import base64
import copy
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.kubernetes.ray_service import CLUSTER_LABEL, DASHBOARD_PORT, TYPE_LABEL
from raylift.errors import CannotWork, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from raylift.kubernetes import Api

# Who owns spec.serveConfigV2; Pulumi owns the rest.
DEPLOYER = "raylift"
_SECONDS = 900.0
_POLL_SECONDS = 1.0
_TRIES = 10
_TOKEN_HEADER = "X-Ray-Authorization"  # noqa: S105 a header; the usual one is the API server's
_BOUNDS = ("minReplicas", "maxReplicas")
_NEVER = ("InvalidImageName", "ErrImageNeverPull")
_IMAGE = ("ErrImagePull", "ImagePullBackOff")


@dataclass(frozen=True, slots=True)
class Seen:
    """A Ray service at one moment: what it asks for, and which cluster is newest.

    `config` is without what makes no other cluster; `cluster` names one in one form.
    """

    config: dict[str, Any] | None
    cluster: tuple[str, int] | None


class RayServiceWatch:
    """The Ray service of a stack, asked through the API server."""

    def __init__(self, api: Api, namespace: str, stack: str) -> None:
        self._api = api
        self._core = f"/api/v1/namespaces/{namespace}"
        self._ray = f"/apis/ray.io/v1/namespaces/{namespace}"
        self._stack = stack

    def look(self) -> Seen:
        """The service as it is now; both parts None where there is none."""
        service, ray = self._service(), self._cluster()
        config = _deciding(service["spec"]["rayClusterConfig"]) if service else None
        return Seen(config, _identity(ray))

    def wait(self, before: Seen, *, say: Callable[[str], None]) -> None:
        """Wait until the head of the cluster that the stack asks for answers.

        `before` is what was seen before Pulumi changed anything.

        Raises:
            CannotWork: the head's pod can never start, with the reason; or somebody
                has deleted the service.
            Denied: the API server refuses.
            Unreachable: it took too long.
        """
        if self._service() is None:
            raise CannotWork(
                f"Ray service '{self._stack}' is gone, though Pulumi's state has it",
                hint=f"pulumi refresh -s {self._stack}, then the same command",
            )
        _again(self._seed)
        changed = before.config is not None and self.look().config != before.config
        outdated = before.cluster if changed else None
        deadline, told = time.monotonic() + _SECONDS, ""
        while waiting := self._waiting_for(outdated):
            if waiting != told:
                say(waiting)
                told = waiting
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"not there after {_SECONDS:.0f} s: {waiting}",
                    hint="run the same command again",
                )
            time.sleep(_POLL_SECONDS)
        _again(self._pass_bounds_on)

    # --- what KubeRay leaves to others

    def _seed(self) -> bool:
        """Say that there is no application yet, where nobody has said anything."""
        service = self._service()
        if service is None or service["spec"].get("serveConfigV2") is not None:
            return True
        version = service["metadata"]["resourceVersion"]
        body = {
            "apiVersion": "ray.io/v1",
            "kind": "RayService",
            "metadata": {"name": self._stack, "resourceVersion": version},
            "spec": {"serveConfigV2": "applications: []\n"},
        }
        place = f"{self._ray}/rayservices/{self._stack}"
        kind = "apply-patch+yaml"
        return self._api.patch(place, body, kind, fieldManager=DEPLOYER)

    def _pass_bounds_on(self) -> bool:
        """The bounds of worker groups, which KubeRay leaves as they were."""
        service, ray = self._service(), self._cluster()
        if service is None or ray is None:
            return True
        wanted = _bounds(service["spec"]["rayClusterConfig"])
        has = ray["spec"].get("workerGroupSpecs") or []
        groups = [group | wanted.get(group["groupName"], {}) for group in has]
        if groups == has:
            return True
        place = f"{self._ray}/rayclusters/{ray['metadata']['name']}"
        version = ray["metadata"]["resourceVersion"]
        body = {
            "metadata": {"resourceVersion": version},
            "spec": {"workerGroupSpecs": groups},
        }
        return self._api.patch(place, body, "merge-patch+json")

    # --- what there is

    def _waiting_for(self, outdated: tuple[str, int] | None) -> str:
        """What is not there yet; empty once the head answers."""
        try:
            return self._missing(outdated)
        except Unreachable as error:  # a control plane may be replaced meanwhile
            return str(error)

    def _missing(self, outdated: tuple[str, int] | None) -> str:
        ray = self._cluster()
        if ray is None or _identity(ray) == outdated:
            return "waiting for KubeRay to raise the Ray cluster"
        name = ray["metadata"]["name"]
        conditions = ray.get("status", {}).get("conditions") or []
        ready = [c["status"] for c in conditions if c["type"] == "HeadPodReady"]
        if ready != ["True"]:
            return f"waiting for the head of {name}{self._trouble(name)}"
        return "" if self._answers(name) else "waiting for Ray's dashboard"

    def _service(self) -> Any:  # noqa: ANN401 JSON, or None
        return self._api.get(f"{self._ray}/rayservices/{self._stack}")

    def _cluster(self) -> Any:  # noqa: ANN401 JSON, or None
        """The cluster that is becoming the active one, else the one that is."""
        status = (self._service() or {}).get("status") or {}
        for which in ("pendingServiceStatus", "activeServiceStatus"):
            if name := (status.get(which) or {}).get("rayClusterName"):
                return self._api.get(f"{self._ray}/rayclusters/{name}")
        return None

    def _trouble(self, name: str) -> str:
        """Why the head's pod does not run, in Kubernetes' words.

        Raises:
            CannotWork: it never will.
        """
        selector = f"{CLUSTER_LABEL}={name},{TYPE_LABEL}=head"
        for pod in self._api.items(f"{self._core}/pods", labelSelector=selector):
            for condition in pod["status"].get("conditions") or []:
                if (
                    condition["type"] == "PodScheduled"
                    and condition["status"] == "False"
                ):
                    return f": {condition.get('message') or condition['reason']}"
            for container in pod["status"].get("containerStatuses") or []:
                waiting = (container.get("state") or {}).get("waiting") or {}
                if waiting.get("reason") in _NEVER:
                    raise CannotWork(f"the head cannot start: {waiting['message']}")
                if waiting.get("reason") in _IMAGE:
                    return f": {waiting['reason']}: {waiting.get('message', '')}"
        return ""

    def _answers(self, cluster: str) -> bool:
        """Whether the dashboard answers to the cluster's own token."""
        secret = self._api.get(f"{self._core}/secrets/{cluster}")
        if not secret:
            return False
        token = base64.b64decode(secret["data"]["auth_token"]).decode()
        service = f"{cluster}-head-svc:{DASHBOARD_PORT}"
        path = f"{self._core}/services/{service}/proxy/api/version"
        headers = {_TOKEN_HEADER: f"Bearer {token}"}
        return bool(self._api.ask("GET", path, headers=headers).is_success)


def _again(change: Callable[[], bool]) -> None:
    """Make a change to what KubeRay changes as well: read it and try until it holds."""
    for _ in range(_TRIES):
        if change():
            return
        time.sleep(_POLL_SECONDS)
    raise Unreachable(
        "KubeRay changes the Ray service all the time",
        hint="run the same command again",
    )


def _identity(ray: Any) -> tuple[str, int] | None:  # noqa: ANN401 JSON, or None
    return (ray["metadata"]["name"], ray["metadata"]["generation"]) if ray else None


def _bounds(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    groups = config.get("workerGroupSpecs") or ()
    return {g["groupName"]: {k: g[k] for k in _BOUNDS if k in g} for g in groups}


def _deciding(config: dict[str, Any]) -> dict[str, Any]:
    """What makes another cluster when it changes: not bounds, and not tolerations."""
    config = copy.deepcopy(config)
    groups = config.get("workerGroupSpecs") or []
    for group in groups:
        for key in ("replicas", *_BOUNDS):
            group.pop(key, None)
    for part in (config["headGroupSpec"], *groups):
        part["template"]["spec"].pop("tolerations", None)
    return config
