"""Rendering of the RayService manifest from a stack's Ray settings; pure functions.

The manifest contains neither `spec.serveConfigV2`, which `raylift deploy` owns, nor the
`replicas` of worker groups, which Ray's autoscaler owns. Pods are rendered in
`head_template.py` and `worker_template.py`; shared parts are in `pod_template.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.infra.kubernetes.head_template import autoscaler_options, head_group
from raylift.infra.kubernetes.object_scope import labels
from raylift.infra.kubernetes.worker_template import worker_group

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raylift.infra.kubernetes.pod_template import PodSettings
    from raylift.infra.kubernetes.worker_groups import ResolvedWorkerGroup


def ray_service(
    settings: PodSettings, workers: Sequence[ResolvedWorkerGroup]
) -> dict[str, Any]:
    """Return the RayService of a stack."""
    scope = settings.scope
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {
            "name": scope.stack,
            "namespace": scope.namespace,
            "labels": labels(scope),
        },
        "spec": {
            "excludeHeadPodFromServeSvc": True,
            "upgradeStrategy": {"type": "NewCluster"},
            "rayClusterConfig": _ray_cluster(settings, workers),
        },
    }


def _ray_cluster(
    settings: PodSettings, workers: Sequence[ResolvedWorkerGroup]
) -> dict[str, Any]:
    """Return `rayClusterConfig`.

    KubeRay creates a second cluster for most changes to it; see `readiness.py`.
    """
    cluster: dict[str, Any] = {
        "rayVersion": settings.ray.version,
        "authOptions": {"mode": "token"},
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": autoscaler_options(settings.ray),
        "headGroupSpec": head_group(settings),
        "workerGroupSpecs": [worker_group(settings, worker) for worker in workers],
    }
    if settings.storage.redis is not None:
        cluster["gcsFaultToleranceOptions"] = dict(settings.storage.redis)
    return cluster
