"""Updates of a RayService and its RayCluster that KubeRay does not make."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from raylift.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from raylift.ray_service_client import RayServiceClient

# The fields of a worker group that change in place.
BOUNDS = ("minReplicas", "maxReplicas")
_TRIES, _PAUSE_SECONDS = 10, 1.0


def set_empty_config(ray: RayServiceClient) -> None:
    """Set `serveConfigV2` to no applications, unless it is set."""

    def change() -> bool:
        service = ray.get()
        if service is None or service["spec"].get("serveConfigV2") is not None:
            return True
        version = service["metadata"]["resourceVersion"]
        return ray.set_serve_config("applications: []\n", version=version)

    _retry(change)


def apply_bounds(ray: RayServiceClient) -> None:
    """Copy the bounds of worker groups from the RayService to its RayCluster.

    KubeRay copies them only when it creates a RayCluster.
    """

    def change() -> bool:
        cluster = ray.cluster()
        if cluster is None:
            return True
        bounds = _bounds(ray.require()["spec"]["rayClusterConfig"])
        current = cluster["spec"].get("workerGroupSpecs") or []
        groups = [group | bounds.get(group["groupName"], {}) for group in current]
        if groups == current:
            return True
        path = f"{ray.ray}/rayclusters/{cluster['metadata']['name']}"
        version = {"resourceVersion": cluster["metadata"]["resourceVersion"]}
        body = {"metadata": version, "spec": {"workerGroupSpecs": groups}}
        return bool(ray.api.patch(path, body, "merge-patch+json"))

    _retry(change)


def _bounds(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    groups = config.get("workerGroupSpecs") or ()
    return {g["groupName"]: {k: g[k] for k in BOUNDS if k in g} for g in groups}


def _retry(change: Callable[[], bool]) -> None:
    """Retry a change until it does not conflict with a concurrent change by KubeRay.

    Raises:
        Unreachable: It conflicted ten times.
    """
    for _ in range(_TRIES):
        if change():
            return
        time.sleep(_PAUSE_SECONDS)
    raise Unreachable(
        f"cannot update the RayService: KubeRay changed it concurrently {_TRIES} times",
        hint="run the same command again",
    )
