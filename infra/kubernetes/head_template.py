"""Rendering of the Ray head: group spec, volumes and autoscaler sidecar."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.infra.kubernetes.object_scope import labels
from raylift.infra.kubernetes.pod_template import (
    byte_quantity,
    cpu_quantity,
    environment,
    image_of,
    pod_spec,
    ports,
    resources,
    same_node_as,
    scheduling,
    security_context,
    shared_mounts,
    shared_volumes,
)
from raylift.ray_service_client import (
    DASHBOARD_PORT,
    METRICS_PORT,
    SERVE_PORT,
    STACK_LABEL,
    TYPE_LABEL,
)

if TYPE_CHECKING:
    from raylift.infra.kubernetes.pod_template import PodSettings
    from raylift.infra.kubernetes.ray_config import Ray

_PORTS = {
    "gcs-server": 6379,
    "dashboard": DASHBOARD_PORT,
    "serve": SERVE_PORT,
    "metrics": METRICS_PORT,
}
_GCS = "/mnt/gcs"
# The directory in which Kubernetes clients expect their credentials.
_CREDENTIALS = "/var/run/secrets/kubernetes.io/serviceaccount"
# ConfigMap with the certificate of the API server, present in every namespace.
_ROOT_CA = "kube-root-ca.crt"
_TOKEN_SECONDS = 3600  # the kubelet renews the token before it expires


def head_group(settings: PodSettings) -> dict[str, Any]:
    """Return `headGroupSpec`."""
    scope, claim = settings.scope, settings.storage.claim
    volumes = [_credentials(), *shared_volumes(settings)]
    if claim is not None:
        volumes.append({"name": "gcs", "persistentVolumeClaim": {"claimName": claim}})
    spec = pod_spec(settings, _container(settings), volumes, role="head")
    head = settings.ray.head
    spec |= scheduling(head.node_selector, head.tolerations)
    if claim is not None:
        # Both heads mount the same volume during a takeover.
        spec["affinity"] = same_node_as({STACK_LABEL: scope.stack, TYPE_LABEL: "head"})
    return {
        "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},  # noqa: S104 reachable in the pod network only, with a token and a network policy
        "template": {"metadata": {"labels": labels(scope)}, "spec": spec},
    }


def autoscaler_options(ray: Ray) -> dict[str, Any]:
    """Return `autoscalerOptions`: settings of the sidecar that scales the workers."""
    return {
        "version": "v2",
        "idleTimeoutSeconds": ray.autoscaling.idle_timeout,
        "upscalingMode": ray.autoscaling.upscaling_mode,
        "resources": resources({"cpu": "200m", "memory": "512Mi"}),
        "securityContext": security_context(),
        "volumeMounts": [
            {"name": "credentials", "mountPath": _CREDENTIALS, "readOnly": True}
        ],
    }


def _container(settings: PodSettings) -> dict[str, Any]:
    head, claim = settings.ray.head, settings.storage.claim
    storage = {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": _GCS}
    mounts = shared_mounts(settings)
    if claim is not None:
        # One directory per cluster: a new cluster must not load the state of an old
        # one.
        mounts.append(
            {"name": "gcs", "mountPath": _GCS, "subPathExpr": "$(RAY_CLUSTER_NAME)"}
        )
    return {
        "name": "ray-head",
        "image": image_of(settings.ray, gpu=False),
        "imagePullPolicy": "IfNotPresent",
        "ports": ports(_PORTS),
        "resources": resources(
            {"cpu": cpu_quantity(head.num_cpus), "memory": byte_quantity(head.memory)}
        ),
        "securityContext": security_context(),
        **({"volumeMounts": mounts} if mounts else {}),
        **environment(settings, fixed=storage if claim is not None else {}),
    }


def _credentials() -> dict[str, Any]:
    """Return a volume with an API server token that only the autoscaler mounts."""
    token = {"path": "token", "expirationSeconds": _TOKEN_SECONDS}
    authority = {"key": "ca.crt", "path": "ca.crt"}
    sources = [
        {"serviceAccountToken": token},
        {"configMap": {"name": _ROOT_CA, "items": [authority]}},
    ]
    return {"name": "credentials", "projected": {"sources": sources}}
