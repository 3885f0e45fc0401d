"""Parts shared by the pod templates of the Ray head and the Ray workers.

They include security contexts, resources, environment variables, volumes, node
selectors and tolerations.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raylift.infra.kubernetes import haproxy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pulumi import Input

    from raylift.infra.kubernetes.object_scope import ObjectScope
    from raylift.infra.kubernetes.pod_config import Toleration, Volume
    from raylift.infra.kubernetes.ray_config import Ray
    from raylift.infra.kubernetes.worker_groups import Taint

_MIB = 1 << 20
_USER = 1000  # the user `ray` in the rayproject/ray images
# Time for endpoints to stop sending requests to a terminating pod. Ray receives the
# signal to stop only after it.
LEAVE_SECONDS = 10
_GRACE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Storage:
    """Storage for the state of the GCS: a claim, Redis, or memory if both are None.

    `claim` is the name of a PersistentVolumeClaim, `redis` KubeRay's
    `gcsFaultToleranceOptions`; its values may be Outputs.
    """

    claim: Input[str] | None = None
    redis: Mapping[str, Any] | None = None

    @property
    def is_durable(self) -> bool:
        """Whether the state survives a restart of the head."""
        return self.claim is not None or self.redis is not None


@dataclass(frozen=True, slots=True)
class PodSettings:
    """Settings that apply to every pod of a stack.

    `secret` is the name of the Secret whose keys become environment variables.
    """

    scope: ObjectScope
    ray: Ray
    storage: Storage = Storage()
    secret: Input[str] | None = None


def pod_spec(
    settings: PodSettings,
    container: Mapping[str, Any],
    volumes: Sequence[Mapping[str, Any]],
    *,
    role: str,
) -> dict[str, Any]:
    """Return the spec of a pod with one container.

    `role` is the suffix of the service account.
    """
    secrets = [{"name": name} for name in settings.ray.image_pull_secrets]
    priority = settings.ray.priority_class_name
    return {
        "serviceAccountName": f"{settings.scope.stack}-{role}",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",  # required by the autoscaler v2
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {
            "fsGroup": _USER,
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **({"imagePullSecrets": secrets} if secrets else {}),
        **({"priorityClassName": priority} if priority else {}),
        "containers": [container],
        "volumes": volumes,
    }


def shared_volumes(settings: PodSettings) -> list[dict[str, Any]]:
    """Return the volumes of every pod, as a pod spec has them."""
    ray = settings.ray
    return [
        *haproxy.volumes(settings.scope, ray),
        *({"name": _volume_name(each), **_source(each)} for each in ray.volumes),
    ]


def shared_mounts(settings: PodSettings) -> list[dict[str, Any]]:
    """Return the mounts of the volumes of every pod, as a container has them."""
    mounts = haproxy.mounts(settings.ray)
    for each in settings.ray.volumes:
        mount = {"name": _volume_name(each), "mountPath": each.mount_path}
        mounts.append(mount | ({"readOnly": True} if each.read_only else {}))
    return mounts


def _volume_name(volume: Volume) -> str:
    return f"user-{volume.name}"  # differs from every name that KubeRay or raylift uses


def _source(volume: Volume) -> dict[str, Any]:
    if volume.persistent_volume_claim:
        claim: dict[str, Any] = {"claimName": volume.persistent_volume_claim}
        if volume.read_only:
            # Otherwise, the kubelet may change the owner of every file in it.
            claim["readOnly"] = True
        return {"persistentVolumeClaim": claim}
    if volume.config_map:
        return {"configMap": {"name": volume.config_map}}
    if volume.secret:
        return {"secret": {"secretName": volume.secret}}
    return {"emptyDir": {"sizeLimit": byte_quantity(volume.empty_dir or 0)}}


def image_of(ray: Ray, *, gpu: bool) -> str:
    """Return the image of a pod: the configured one, or Ray's image for its version.

    With `gpu`, Ray's image is the variant with CUDA.
    """
    image = f"rayproject/ray:{ray.version}-py311{'-gpu' if gpu else ''}"
    return ray.image or (
        f"{ray.image_registry}/{image}" if ray.image_registry else image
    )


def environment(
    settings: PodSettings,
    *,
    defaults: Mapping[str, str] | None = None,
    fixed: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return `env` and `envFrom` of a container, each only if it is not empty.

    The stack file overrides `defaults`, but not `fixed`. If several objects in
    `envFrom` have the same key, the last one takes precedence.
    """
    ray = settings.ray
    own = {**(fixed or {}), **haproxy.fixed(ray)}
    variables = {**haproxy.tuned(ray), **(defaults or {}), **ray.env, **own}
    sources: list[dict[str, Any]] = [
        {"configMapRef": {"name": source.config_map}}
        if source.config_map
        else {"secretRef": {"name": source.secret}}
        for source in ray.env_from
    ]
    if settings.secret is not None:
        sources.append({"secretRef": {"name": settings.secret}})
    env = [{"name": name, "value": value} for name, value in variables.items()]
    return {k: v for k, v in (("env", env), ("envFrom", sources)) if v}


def security_context() -> dict[str, Any]:
    """Return the security context of a container without privileges."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": _USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def ports(numbers: Mapping[str, int]) -> list[dict[str, Any]]:
    """Return the ports of a container from their numbers by name."""
    return [{"name": name, "containerPort": port} for name, port in numbers.items()]


def resources(amounts: Mapping[str, str]) -> dict[str, Any]:
    """Return equal requests and limits.

    The scheduler uses the requests and Ray the limits; they must be equal.
    """
    return {"requests": dict(amounts), "limits": dict(amounts)}


def cpu_quantity(cpus: float) -> str:
    """Return a number of CPUs as a Kubernetes quantity: `4` or `500m`."""
    return f"{cpus:g}" if cpus == int(cpus) else f"{int(cpus * 1000)}m"


def quantity(amount: int) -> str:
    """Return a count, or a number of bytes, as Kubernetes writes it: `2k`, `9Gi`."""
    if amount and amount % _MIB == 0:
        return byte_quantity(amount)
    return _scaled(amount, 1000, ["", "k", "M", "G"])


def byte_quantity(size: int) -> str:
    """Return a number of bytes, rounded down to MiB, as Kubernetes writes it.

    KubeRay 1.7 writes a RayService in this form. A different spelling of the same size
    would look like a change.
    """
    return _scaled(size // _MIB, 1024, ["Mi", "Gi", "Ti"])


def _scaled(number: int, factor: int, units: Sequence[str]) -> str:
    """Return a number in the largest unit of which it is a multiple."""
    while number and number % factor == 0 and len(units) > 1:
        number, units = number // factor, units[1:]
    return f"{number}{units[0]}"


def scheduling(
    node_selector: Mapping[str, str], tolerations: Sequence[Taint | Toleration]
) -> dict[str, Any]:
    """Return the fields of a pod spec that select its nodes, unless they are empty."""
    fields = {
        "nodeSelector": dict(node_selector),
        "tolerations": [_toleration(taint) for taint in tolerations],
    }
    return {name: value for name, value in fields.items() if value}


def same_node_as(pod_labels: Mapping[str, str]) -> dict[str, Any]:
    """Return an affinity for the node of the pods that have these labels.

    Pods that mount the same volume need it, because a volume can be attached to only
    one node at a time. The first pod can run anywhere: Kubernetes ignores a required
    affinity term that no other pod matches if the new pod matches it.
    """
    term = {
        "labelSelector": {"matchLabels": dict(pod_labels)},
        "topologyKey": "kubernetes.io/hostname",
    }
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def _toleration(taint: Taint | Toleration) -> dict[str, str]:
    toleration = {"key": taint.key}
    toleration["operator"] = "Exists" if taint.value is None else "Equal"
    if taint.value is not None:
        toleration["value"] = taint.value
    if taint.effect is not None:
        toleration["effect"] = taint.effect
    return toleration
