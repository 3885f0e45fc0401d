"""Pure: a stack's Ray settings → the RayService object, without its applications.

`spec.serveConfigV2` is never in it: `raylift deploy` alone owns that field. Nor are
`replicas` of a worker group, which Ray's autoscaler owns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.kubernetes.gpu import GPU_RESOURCE
from raylift.ray_service import (
    DASHBOARD_PORT,
    METRICS_PORT,
    SERVE_PORT,
    STACK_LABEL,
    TYPE_LABEL,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.kubernetes.config import Ray
    from infra.kubernetes.workers import Taint, Worker

GCS_PORT = 6379
GROUP_LABEL = "raylift.io/worker-group"
_MIB = 1 << 20
_USER = 1000  # of rayproject/ray
_GCS = "/mnt/gcs"
# Where a client in a pod looks for its credentials, and the ConfigMap of Kubernetes'
# own that has the API server's certificate in every namespace.
_CREDENTIALS = "/var/run/secrets/kubernetes.io/serviceaccount"
_ROOT_CA = "kube-root-ca.crt"
_TOKEN_SECONDS = 3600  # the kubelet renews it
# Endpoints of a pod that ends are taken out by then, so nothing new comes in.
_LEAVE_SECONDS, _GRACE_SECONDS = 10, 60
# Raylets wait this long for a head that comes back; 60 s is Ray's default.
_RECONNECT = {"RAY_gcs_rpc_server_reconnect_timeout_s": "600"}


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the GCS keeps its state: a claim, a Redis, or (both empty) its memory.

    `claim` is the name of a PersistentVolumeClaim, `redis` KubeRay's
    `gcsFaultToleranceOptions`; either may be an Output.
    """

    claim: Any = None
    redis: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Which object: the stack's name, its namespace, and labels of the user's."""

    stack: str
    namespace: Any
    labels: Mapping[str, str]


def ray_service(
    place: Place,
    ray: Ray,
    workers: Sequence[Worker],
    storage: Storage,
    *,
    secret: Any = None,  # noqa: ANN401 a name, or an Output of one
) -> dict[str, Any]:
    """The RayService of a stack.

    `secret` names the Secret whose keys become environment variables of every pod.
    """
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {
            "name": place.stack,
            "namespace": place.namespace,
            "labels": labels(place),
        },
        "spec": {
            "excludeHeadPodFromServeSvc": True,
            "upgradeStrategy": {"type": "NewCluster"},
            "rayClusterConfig": ray_cluster(
                place, ray, workers, storage, secret=secret
            ),
        },
    }


def ray_cluster(
    place: Place,
    ray: Ray,
    workers: Sequence[Worker],
    storage: Storage,
    *,
    secret: Any = None,  # noqa: ANN401 as above
) -> dict[str, Any]:
    """`rayClusterConfig`: a change of it makes KubeRay raise a second cluster."""
    cluster: dict[str, Any] = {
        "rayVersion": ray.version,
        "authOptions": {"mode": "token"},
        "enableInTreeAutoscaling": True,
        "autoscalerOptions": _autoscaler(ray),
        "headGroupSpec": _head(place, ray, storage, secret),
        "workerGroupSpecs": [
            _group(place, ray, worker, storage, secret) for worker in workers
        ],
    }
    if storage.redis is not None:
        cluster["gcsFaultToleranceOptions"] = dict(storage.redis)
    return cluster


def labels(place: Place) -> dict[str, str]:
    """Labels of every object of a stack; by them `delete` finds what is left."""
    return {
        **place.labels,
        "app.kubernetes.io/managed-by": "raylift",
        "app.kubernetes.io/part-of": "raylift",
        STACK_LABEL: place.stack,
    }


def image_of(ray: Ray, *, gpu: bool) -> str:
    """The image of a pod: Ray's own of that version, with CUDA where it has a GPU."""
    return ray.image or f"rayproject/ray:{ray.version}-py311{'-gpu' if gpu else ''}"


def _autoscaler(ray: Ray) -> dict[str, Any]:
    return {
        "version": "v2",
        "idleTimeoutSeconds": ray.autoscaling.idle_timeout,
        "upscalingMode": ray.autoscaling.upscaling_mode,
        "resources": _sized({"cpu": "200m", "memory": "512Mi"}),
        "securityContext": _hardened(),
        "volumeMounts": [
            {"name": "credentials", "mountPath": _CREDENTIALS, "readOnly": True}
        ],
    }


def _credentials() -> dict[str, Any]:
    """The API server's token, which of all containers only the autoscaler mounts."""
    token = {"path": "token", "expirationSeconds": _TOKEN_SECONDS}
    authority = {"key": "ca.crt", "path": "ca.crt"}
    sources = [
        {"serviceAccountToken": token},
        {"configMap": {"name": _ROOT_CA, "items": [authority]}},
    ]
    return {"name": "credentials", "projected": {"sources": sources}}


def _head(place: Place, ray: Ray, storage: Storage, secret: object) -> dict[str, Any]:
    head = ray.head
    size = _sized({"cpu": _cpus(head.num_cpus), "memory": quantity(head.memory)})
    environment = dict(ray.env)
    if storage.claim is not None:
        environment |= {"RAY_gcs_storage": "rocksdb", "RAY_gcs_storage_path": _GCS}
    ports = {
        "gcs-server": GCS_PORT,
        "dashboard": DASHBOARD_PORT,
        "serve": SERVE_PORT,
        "metrics": METRICS_PORT,
    }
    container = {
        "name": "ray-head",
        "image": image_of(ray, gpu=False),
        "imagePullPolicy": "IfNotPresent",
        "ports": _ports(ports),
        "resources": size,
        "securityContext": _hardened(),
        **_environment(environment, secret),
    }
    volumes = [_credentials()]
    if storage.claim is not None:
        # One folder for each cluster: a new one must not take up an old one's state.
        container["volumeMounts"] = [
            {"name": "gcs", "mountPath": _GCS, "subPathExpr": "$(RAY_CLUSTER_NAME)"}
        ]
        claim = {"claimName": storage.claim}
        volumes.append({"name": "gcs", "persistentVolumeClaim": claim})
    spec = _pod(ray, container, volumes, account=f"{place.stack}-head")
    spec |= _scheduling(head)
    if storage.claim is not None:
        spec["affinity"] = _beside_the_other(place)
    return {
        "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},  # noqa: S104 a pod's own network; token on, and the policy closes it
        "template": {"metadata": {"labels": labels(place)}, "spec": spec},
    }


def _group(
    place: Place, ray: Ray, worker: Worker, storage: Storage, secret: object
) -> dict[str, Any]:
    group: dict[str, Any] = {
        "groupName": worker.name,
        "minReplicas": worker.min_replicas,
        "maxReplicas": worker.max_replicas,
        "numOfHosts": worker.num_of_hosts,
        "rayStartParams": {},
        "template": _worker(place, ray, worker, storage, secret),
    }
    if worker.idle_timeout is not None:
        group["idleTimeoutSeconds"] = worker.idle_timeout
    if worker.pool.labels:
        group["labels"] = worker.pool.labels
    if worker.pool.resources:
        group["resources"] = {k: f"{v:g}" for k, v in worker.pool.resources.items()}
    return group


def _worker(
    place: Place, ray: Ray, worker: Worker, storage: Storage, secret: object
) -> dict[str, Any]:
    size = {"cpu": _cpus(worker.num_cpus), "memory": quantity(worker.memory)}
    if worker.num_gpus:
        size[GPU_RESOURCE] = str(worker.num_gpus)
    lasting = storage.claim is not None or storage.redis is not None
    container = {
        "name": "ray-worker",
        "image": image_of(ray, gpu=bool(worker.num_gpus)),
        "imagePullPolicy": "IfNotPresent",
        "ports": _ports({"serve": SERVE_PORT, "metrics": METRICS_PORT}),
        "resources": _sized(size),
        "securityContext": _hardened(),
        "readinessProbe": _serves(),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(_LEAVE_SECONDS)]}}},
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],  # noqa: S108 the pod's own
        **_environment({**(_RECONNECT if lasting else {}), **ray.env}, secret),
    }
    shared = quantity(int(worker.memory * 0.3))  # Ray's object store takes 30 %
    shm = {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": shared}}
    spec = _pod(ray, container, [shm], account=f"{place.stack}-worker")
    spec |= _scheduling(worker.pool)
    if worker.pool.runtime_class:  # such as nvidia, on k3s, RKE2 and Talos
        spec["runtimeClassName"] = worker.pool.runtime_class
    return {
        "metadata": {"labels": {**labels(place), GROUP_LABEL: worker.name}},
        "spec": spec,
    }


def _pod(
    ray: Ray, container: dict[str, Any], volumes: list[dict[str, Any]], *, account: str
) -> dict[str, Any]:
    return {
        "serviceAccountName": account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",  # the autoscaler's version 2 asks for it
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {
            "fsGroup": _USER,
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "imagePullSecrets": [{"name": name} for name in ray.image_pull_secrets],
        "containers": [container],
        "volumes": volumes,
    }


def _scheduling(where: Any) -> dict[str, Any]:  # noqa: ANN401 a Head or a Pool
    return {
        "nodeSelector": dict(where.node_selector),
        "tolerations": [_toleration(taint) for taint in where.tolerations],
    }


def _toleration(taint: Taint) -> dict[str, str]:
    toleration = {"key": taint.key}
    toleration["operator"] = "Exists" if taint.value is None else "Equal"
    if taint.value is not None:
        toleration["value"] = taint.value
    if taint.effect is not None:
        toleration["effect"] = taint.effect
    return toleration


def _beside_the_other(place: Place) -> dict[str, Any]:
    """A head on the node of the head before it: their volume is on one node at a time.

    The first head may go anywhere: a pod that fits its own term needs no other.
    """
    same = {"matchLabels": {STACK_LABEL: place.stack, TYPE_LABEL: "head"}}
    term = {"labelSelector": same, "topologyKey": "kubernetes.io/hostname"}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def _serves() -> dict[str, Any]:
    """Whether this pod's Serve proxy takes requests; a dead one is out after 4 s."""
    return {
        "httpGet": {"path": "/-/healthz", "port": SERVE_PORT},
        "periodSeconds": 2,
        "timeoutSeconds": 2,
        "failureThreshold": 2,
    }


def _environment(values: Mapping[str, str], secret: object) -> dict[str, Any]:
    env = [{"name": name, "value": value} for name, value in values.items()]
    found: dict[str, Any] = {"env": env} if env else {}
    if secret is not None:
        found["envFrom"] = [{"secretRef": {"name": secret}}]
    return found


def _hardened() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _ports(named: Mapping[str, int]) -> list[dict[str, Any]]:
    return [{"name": name, "containerPort": port} for name, port in named.items()]


def _sized(size: Mapping[str, str]) -> dict[str, Any]:
    """Ray plans with the limits, the scheduler with the requests; they agree."""
    return {"requests": dict(size), "limits": dict(size)}


def _cpus(number: float) -> str:
    return f"{number:g}" if number == int(number) else f"{int(number * 1000)}m"


def quantity(size: int) -> str:
    """Bytes as Kubernetes writes them."""
    return f"{size // _MIB}Mi"
