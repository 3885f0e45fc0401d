"""What lives in a stack's namespace and is not the stack's: it would go with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.kubernetes.ray_service import STACK_LABEL
from raylift.errors import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightkube.config.kubeconfig import SingleConfig

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
    "PersistentVolumeClaim": "/api/v1/namespaces/{}/persistentvolumeclaims",
    "Service": "/api/v1/namespaces/{}/services",
    "Pod": "/api/v1/namespaces/{}/pods",
}


def foreign_objects(access: SingleConfig, namespace: str, stack: str) -> list[str]:
    """Objects of others in a namespace, as `Deployment web`; empty where it is gone.

    What has an owner goes or stays with it and is not named.

    Raises:
        Unreachable: the API server does not answer.
    """
    import httpx2
    from lightkube.config.client_adapter import Client, ConnectionParams

    parameters = ConnectionParams(timeout=httpx2.Timeout(10), trust_env=False)
    try:
        with Client(access, parameters) as http:
            return list(_foreign(http, namespace, stack))
    except httpx2.HTTPError as error:
        raise Unreachable(
            f"the Kubernetes API server does not answer: {error}",
            hint="kubectl cluster-info",
        ) from None


def _foreign(http: Any, namespace: str, stack: str) -> Iterator[str]:  # noqa: ANN401 lightkube's
    for kind, path in _KINDS.items():
        answer = http.get(path.format(namespace))
        for item in answer.json()["items"] if answer.is_success else ():
            metadata = item["metadata"]
            is_ours = metadata.get("labels", {}).get(STACK_LABEL) == stack
            if not is_ours and not metadata.get("ownerReferences"):
                yield f"{kind} {metadata['name']}"
