"""Rendering of the Ray workers: a worker group spec and its pod template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.infra.kubernetes.gpu import GPU_RESOURCE
from raylift.infra.kubernetes.object_scope import GROUP_LABEL, labels
from raylift.infra.kubernetes.pod_template import (
    LEAVE_SECONDS,
    byte_quantity,
    cpu_quantity,
    environment,
    image_of,
    pod_spec,
    ports,
    quantity,
    resources,
    scheduling,
    security_context,
    shared_mounts,
    shared_volumes,
)
from raylift.ray_service_client import (
    CLUSTER_LABEL,
    METRICS_PORT,
    SERVE_PORT,
    STACK_LABEL,
)

if TYPE_CHECKING:
    from raylift.infra.kubernetes.pod_template import PodSettings
    from raylift.infra.kubernetes.worker_groups import ResolvedWorkerGroup

# Time that raylets wait for a restarting head; Ray's default is 60 s.
_RECONNECT = {"RAY_gcs_rpc_server_reconnect_timeout_s": "600"}
_OBJECT_STORE_SHARE = 0.3  # Ray's default fraction of memory for the object store


def worker_group(settings: PodSettings, worker: ResolvedWorkerGroup) -> dict[str, Any]:
    """Return one of the `workerGroupSpecs`."""
    group: dict[str, Any] = {
        "groupName": worker.name,
        "minReplicas": worker.min_replicas,
        "maxReplicas": worker.max_replicas,
        "numOfHosts": worker.num_of_hosts,
        "rayStartParams": {},
        "template": _template(settings, worker),
    }
    if worker.idle_timeout is not None:
        group["idleTimeoutSeconds"] = worker.idle_timeout
    if worker.pool.labels:
        group["labels"] = worker.pool.labels
    if worker.pool.resources:
        group["resources"] = {k: f"{v:g}" for k, v in worker.pool.resources.items()}
    return group


def _template(settings: PodSettings, worker: ResolvedWorkerGroup) -> dict[str, Any]:
    volumes = [_shared_memory(worker), *shared_volumes(settings)]
    spec = pod_spec(settings, _container(settings, worker), volumes, role="worker")
    spec |= scheduling(worker.pool.node_selector, worker.pool.tolerations)
    if worker.topology_spread:
        spec["topologySpreadConstraints"] = _spread(settings, worker)
    if worker.pool.runtime_class:  # such as nvidia, on k3s, RKE2 and Talos
        spec["runtimeClassName"] = worker.pool.runtime_class
    return {
        "metadata": {"labels": {**labels(settings.scope), GROUP_LABEL: worker.name}},
        "spec": spec,
    }


def _container(settings: PodSettings, worker: ResolvedWorkerGroup) -> dict[str, Any]:
    amounts = {
        "cpu": cpu_quantity(worker.num_cpus),
        "memory": byte_quantity(worker.memory),
    }
    if worker.num_gpus:
        amounts[GPU_RESOURCE] = str(worker.num_gpus)
    amounts |= {k: quantity(amount) for k, amount in worker.extra_resources.items()}
    reconnect = _RECONNECT if settings.storage.is_durable else {}
    return {
        "name": "ray-worker",
        "image": image_of(settings.ray, gpu=bool(worker.num_gpus)),
        "imagePullPolicy": "IfNotPresent",
        "ports": ports({"serve": SERVE_PORT, "metrics": METRICS_PORT}),
        "resources": resources(amounts),
        "securityContext": security_context(),
        "readinessProbe": _serve_probe(),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(LEAVE_SECONDS)]}}},
        "volumeMounts": [
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 the pod's own
            *shared_mounts(settings),
        ],
        **environment(settings, defaults=reconnect),
    }


def _spread(settings: PodSettings, worker: ResolvedWorkerGroup) -> list[dict[str, Any]]:
    """Return the topology spread constraints, which count one Ray cluster at a time.

    Otherwise, the workers of the old cluster could keep a new one from starting.
    """
    selected = {STACK_LABEL: settings.scope.stack, GROUP_LABEL: worker.name}
    return [
        {
            "topologyKey": rule.topology_key,
            "maxSkew": rule.max_skew,
            "whenUnsatisfiable": rule.when_unsatisfiable,
            "labelSelector": {"matchLabels": selected},
            "matchLabelKeys": [CLUSTER_LABEL],
        }
        for rule in worker.topology_spread
    ]


def _shared_memory(worker: ResolvedWorkerGroup) -> dict[str, Any]:
    """Return a memory volume that fits the worker's object store."""
    size = byte_quantity(int(worker.memory * _OBJECT_STORE_SHARE))
    return {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": size}}


def _serve_probe() -> dict[str, Any]:
    """Return a readiness probe of the pod's Serve proxy.

    Kubernetes stops sending requests to a dead proxy after 4 s.
    """
    return {
        "httpGet": {"path": "/-/healthz", "port": SERVE_PORT},
        "periodSeconds": 2,
        "timeoutSeconds": 2,
        "failureThreshold": 2,
    }
