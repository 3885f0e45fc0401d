"""A Ray service as KubeRay runs it: what Pulumi leaves to do, and when it is up.

KubeRay 1.6 raises another cluster for most changes of `rayClusterConfig`, but passes
changes of `minReplicas` and `maxReplicas` on to nobody, and comes to neither while
Serve refuses what it posts for lack of a `serveConfigV2`.
(ray-operator/controllers/ray/rayservice_controller.go)
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raylift.errors import CannotWork, Unreachable
from raylift.ray_service import RayService

if TYPE_CHECKING:
    from collections.abc import Callable

    from raylift.kubernetes import Api

_SECONDS = 900.0
_POLL_SECONDS = 1.0
_TRIES = 10
_BOUNDS = ("minReplicas", "maxReplicas")


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
        self._ray = RayService(api, namespace, stack)

    def look(self) -> Seen:
        """The service as it is now; both parts None where there is none."""
        service, ray = self._ray.get(), self._ray.cluster()
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
        if self._ray.get() is None:
            stack = self._ray.stack
            raise CannotWork(
                f"Ray service '{stack}' is gone, though Pulumi's state has it",
                hint=f"pulumi refresh -s {stack}, then the same command",
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
        service = self._ray.get()
        if service is None or service["spec"].get("serveConfigV2") is not None:
            return True
        version = service["metadata"]["resourceVersion"]
        return self._ray.set_serve_config("applications: []\n", version=version)

    def _pass_bounds_on(self) -> bool:
        """The bounds of worker groups, which KubeRay leaves as they were."""
        service, ray = self._ray.get(), self._ray.cluster()
        if service is None or ray is None:
            return True
        wanted = _bounds(service["spec"]["rayClusterConfig"])
        has = ray["spec"].get("workerGroupSpecs") or []
        groups = [group | wanted.get(group["groupName"], {}) for group in has]
        if groups == has:
            return True
        place = f"{self._ray.ray}/rayclusters/{ray['metadata']['name']}"
        version = ray["metadata"]["resourceVersion"]
        body = {
            "metadata": {"resourceVersion": version},
            "spec": {"workerGroupSpecs": groups},
        }
        return bool(self._api.patch(place, body, "merge-patch+json"))

    # --- what there is

    def _waiting_for(self, outdated: tuple[str, int] | None) -> str:
        """What is not there yet; empty once the head answers."""
        try:
            return self._missing(outdated)
        except Unreachable as error:  # a control plane may be replaced meanwhile
            return str(error)

    def _missing(self, outdated: tuple[str, int] | None) -> str:
        ray = self._ray.cluster()
        if ray is None or _identity(ray) == outdated:
            return "waiting for KubeRay to raise the Ray cluster"
        name = ray["metadata"]["name"]
        conditions = ray.get("status", {}).get("conditions") or []
        ready = [c["status"] for c in conditions if c["type"] == "HeadPodReady"]
        if ready != ["True"]:
            return f"waiting for the head of {name}{self._trouble(name)}"
        head = self._ray.head_of(name)
        if head and self._ray.ask_dashboard(head, "GET", "/api/version").is_success:
            return ""
        return "waiting for Ray's dashboard"

    def _trouble(self, name: str) -> str:
        """Why the head's pod does not run, in Kubernetes' words.

        Raises:
            CannotWork: it never will.
        """
        for trouble in self._ray.troubles(name, "head"):
            if trouble.for_ever:
                raise CannotWork(f"the head cannot start: {trouble.text}")
            return f": {trouble.text}"
        return ""


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
