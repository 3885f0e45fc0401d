"""What lives in a stack's namespace and is not the stack's: it would go with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.ray_service import STACK_LABEL

if TYPE_CHECKING:
    from raylift.kubernetes import Api

# Kinds that somebody made; pods, ReplicaSets and the like belong to one of them.
_KINDS = {
    "Deployment": "/apis/apps/v1/namespaces/{}/deployments",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets",
    "DaemonSet": "/apis/apps/v1/namespaces/{}/daemonsets",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "CronJob": "/apis/batch/v1/namespaces/{}/cronjobs",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
    "RayCluster": "/apis/ray.io/v1/namespaces/{}/rayclusters",
    "RayService": "/apis/ray.io/v1/namespaces/{}/rayservices",
    "RayJob": "/apis/ray.io/v1/namespaces/{}/rayjobs",
    "RayCronJob": "/apis/ray.io/v1/namespaces/{}/raycronjobs",
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Service": "/api/v1/namespaces/{}/services",
    "Pod": "/api/v1/namespaces/{}/pods",
}


def foreign_objects(api: Api, namespace: str, stack: str) -> list[str]:
    """Objects of others in a namespace, as `Deployment web`; empty where it is gone.

    What has an owner goes or stays with it and is not named.
    """
    return [
        f"{kind} {found['metadata']['name']}"
        for kind, path in _KINDS.items()
        for found in api.items(path.format(namespace))
        if not _is_ours(found["metadata"], stack)
    ]


def served_by_operator(api: Api, stack: str) -> list[str]:
    """What of others KubeRay works for anywhere, as `RayService prod/chat`."""
    return [
        f"{kind} {found['metadata']['namespace']}/{found['metadata']['name']}"
        for kind in ("RayService", "RayCluster", "RayJob", "RayCronJob")
        for found in api.items(f"/apis/ray.io/v1/{kind.lower()}s")
        if not _is_ours(found["metadata"], stack)
    ]


def _is_ours(metadata: dict[str, Any], stack: str) -> bool:
    owned = bool(metadata.get("ownerReferences"))
    return owned or metadata.get("labels", {}).get(STACK_LABEL) == stack
