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
        service, cluster = ray.with_cluster()
        if service is None or cluster is None:
            return True
        groups = _bounded(service, cluster)
        if groups == cluster["spec"].get("workerGroupSpecs", []):
            return True
        path = f"{ray.ray}/rayclusters/{cluster['metadata']['name']}"
        version = {"resourceVersion": cluster["metadata"]["resourceVersion"]}
        body = {"metadata": version, "spec": {"workerGroupSpecs": groups}}
        return bool(ray.api.patch(path, body, "merge-patch+json"))

    _retry(change)


def bounded_cluster(ray: RayServiceClient) -> Any:  # noqa: ANN401 JSON, or None
    """Return the newest RayCluster with the bounds in the RayService."""
    service, cluster = ray.with_cluster()
    if service is None or cluster is None:
        return cluster
    groups = _bounded(service, cluster)
    return {**cluster, "spec": {**cluster["spec"], "workerGroupSpecs": groups}}


def _bounded(service: dict[str, Any], cluster: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the worker groups of a RayCluster with the bounds in its RayService."""
    wanted = service["spec"]["rayClusterConfig"].get("workerGroupSpecs") or ()
    bounds = {g["groupName"]: {k: g[k] for k in BOUNDS if k in g} for g in wanted}
    current = cluster["spec"].get("workerGroupSpecs") or []
    return [group | bounds.get(group["groupName"], {}) for group in current]


def _retry(change: Callable[[], bool]) -> None:
    """Retry a change until it does not conflict with one by KubeRay or Ray.

    Raises:
        Unreachable: It conflicted ten times.
    """
    for _ in range(_TRIES):
        if change():
            return
        time.sleep(_PAUSE_SECONDS)
    raise Unreachable(
        f"cannot update the Ray service: it was changed concurrently {_TRIES} times",
        hint="run the same command again",
    )
