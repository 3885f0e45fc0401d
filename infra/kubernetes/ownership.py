"""Detection of objects that a stack does not own but would delete.

Deleting a stack's namespace deletes everything in it, and uninstalling its KubeRay
operator stops the Ray clusters of others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.ray_service_client import STACK_LABEL

if TYPE_CHECKING:
    from raylift.kube_api import Api

# Kinds that users create; other objects, such as ReplicaSets, are owned by these.
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


def unmanaged_objects(api: Api, namespace: str, stack: str) -> list[str]:
    """Return the objects of others in a namespace, each as `Deployment web`.

    Objects with an owner are omitted, because the owner is listed. The result is empty
    if the namespace does not exist.
    """
    return [
        f"{kind} {body['metadata']['name']}"
        for kind, path in _KINDS.items()
        for body in api.items(path.format(namespace))
        if not _is_covered(body["metadata"], stack)
    ]


def served_by_operator(api: Api, stack: str) -> list[str]:
    """Return KubeRay objects of others in any namespace, as `RayService prod/chat`."""
    return [
        f"{kind} {body['metadata']['namespace']}/{body['metadata']['name']}"
        for kind in ("RayService", "RayCluster", "RayJob", "RayCronJob")
        for body in api.items(f"/apis/ray.io/v1/{kind.lower()}s")
        if not _is_covered(body["metadata"], stack)
    ]


def _is_covered(metadata: dict[str, Any], stack: str) -> bool:
    """Return whether the stack or a listed object owns an object."""
    owned = bool(metadata.get("ownerReferences"))
    return owned or metadata.get("labels", {}).get(STACK_LABEL) == stack
