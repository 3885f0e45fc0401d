"""The component that is a Ray service, with what belongs to it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import ComponentResource, CustomTimeouts, Output, ResourceOptions

from infra.kubernetes.cluster import EXISTS
from infra.kubernetes.network_policy import Callers, network_policies
from infra.kubernetes.ray_service import (
    GROUP_LABEL,
    Storage,
    labels,
    quantity,
    ray_service,
)
from raylift.ray_service import CLUSTER_LABEL, SERVE_PORT, STACK_LABEL, TYPE_LABEL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.kubernetes.cluster import Cluster
    from infra.kubernetes.config import FaultTolerance, Ray
    from infra.kubernetes.workers import Worker


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume to ask for: its StorageClass, and bytes."""

    storage_class: str
    size: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to build: Ray and its workers, where its state is kept, who may call.

    `volume` is for the head's state; `redis` is KubeRay's `gcsFaultToleranceOptions`.
    """

    ray: Ray
    workers: Sequence[Worker]
    callers: Callers
    volume: Volume | None = None
    redis: dict[str, Any] | None = None
    policies: bool = True
    is_monitored: bool = False


class RayService(ComponentResource):
    """The Ray service of a stack and what belongs to it alone."""

    def __init__(
        self, cluster: Cluster, wanted: Wanted, *, after: Sequence[pulumi.Resource]
    ) -> None:
        """Register everything; `after` must be there first and outlives it."""
        super().__init__("raylift:kubernetes:RayService", cluster.place.stack)
        self._cluster, self._wanted = cluster, wanted
        self._after = [*after, *cluster.ready]
        before = [*self._accounts(), *self._policies(), self._service()]
        claim = self._claim(wanted.volume) if wanted.volume else None
        self.service = self._ray_service(self._secret(), claim, before)
        self._budget()
        if wanted.is_monitored:
            self._monitor()
        self.register_outputs({})

    def _options(self, **more: Any) -> ResourceOptions:  # noqa: ANN401 Pulumi's own
        more.setdefault("depends_on", self._after)
        return self._cluster.options(self, **more)

    def _metadata(self, name: str, **more: Any) -> Any:  # noqa: ANN401 fields of ObjectMeta
        place = self._cluster.place
        suffix = f"-{name}" if name else ""
        return {
            "name": f"{place.stack}{suffix}",
            "namespace": place.namespace,
            "labels": labels(place),
            **more,
        }

    def _accounts(self) -> list[pulumi.Resource]:
        """Identities of the head, whose autoscaler makes pods, and of the workers."""
        return [
            kubernetes.core.v1.ServiceAccount(
                f"{role}-account",
                metadata=self._metadata(role),
                automount_service_account_token=False,
                opts=self._options(),
            )
            for role in ("head", "worker")
        ]

    def _policies(self) -> list[pulumi.Resource]:
        if not self._wanted.policies:
            return []
        place = self._cluster.place
        return [
            kubernetes.networking.v1.NetworkPolicy(
                f"{body['metadata']['name'].removeprefix(f'{place.stack}-')}-policy",
                metadata=body["metadata"],
                spec=body["spec"],
                opts=self._options(),
            )
            for body in network_policies(place, self._wanted.callers)
        ]

    def _service(self) -> kubernetes.core.v1.Service:
        """The way to the replicas: workers of whichever cluster, if they are ready.

        KubeRay's own Service moves from one cluster to the next before the workers
        there are ready, and loses what is asked for meanwhile.
        """
        port = {"name": "serve", "port": SERVE_PORT, "targetPort": SERVE_PORT}
        workers = {STACK_LABEL: self._cluster.place.stack, TYPE_LABEL: "worker"}
        spec: Any = {"selector": workers, "ports": [port]}
        return kubernetes.core.v1.Service(
            "serve",
            metadata=self._metadata("serve", annotations=EXISTS),
            spec=spec,
            opts=self._options(),
        )

    def _secret(self) -> kubernetes.core.v1.Secret | None:
        """Environment variables that are secret; another value is another Secret."""
        secret = self._wanted.ray.secret_env
        if not secret:
            return None
        metadata = self._metadata("")
        del metadata["name"]
        return kubernetes.core.v1.Secret(
            f"{self._cluster.place.stack}-env",
            metadata=metadata,
            immutable=True,
            string_data={name: Output.secret(value) for name, value in secret.items()},
            opts=self._options(),
        )

    def _claim(self, volume: Volume) -> kubernetes.core.v1.PersistentVolumeClaim:
        """A volume for the heads' state: each cluster has a folder of its own in it."""
        spec: Any = {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": volume.storage_class,
            "resources": {"requests": {"storage": quantity(volume.size)}},
        }
        return kubernetes.core.v1.PersistentVolumeClaim(
            "gcs",
            metadata=self._metadata("gcs", annotations=EXISTS),
            spec=spec,
            opts=self._options(),
        )

    def _ray_service(
        self,
        secret: kubernetes.core.v1.Secret | None,
        claim: kubernetes.core.v1.PersistentVolumeClaim | None,
        before: list[pulumi.Resource],
    ) -> kubernetes.apiextensions.CustomResource:
        wanted = self._wanted
        body = ray_service(
            self._cluster.place,
            wanted.ray,
            wanted.workers,
            Storage(claim.metadata["name"] if claim else None, wanted.redis),
            secret=secret.metadata["name"] if secret else None,
        )
        return kubernetes.apiextensions.CustomResource(
            "ray-service",
            api_version=body["apiVersion"],
            kind=body["kind"],
            metadata=body["metadata"],
            spec=body["spec"],
            opts=self._options(
                depends_on=[*before, *self._after],
                custom_timeouts=CustomTimeouts(
                    create="20m", update="20m", delete="10m"
                ),
            ),
        )

    def _budget(self) -> None:
        """How many pods at once a drain of nodes may take from the stack."""
        place = self._cluster.place
        lasting = self._wanted.volume is not None or self._wanted.redis is not None
        allowed = {"head": 1 if lasting else 0, "worker": 1}
        for role, number in allowed.items():
            selected = {STACK_LABEL: place.stack, TYPE_LABEL: role}
            spec: Any = {
                "maxUnavailable": number,
                "selector": {"matchLabels": selected},
            }
            kubernetes.policy.v1.PodDisruptionBudget(
                f"{role}-budget",
                metadata=self._metadata(role),
                spec=spec,
                opts=self._options(),
            )

    def _monitor(self) -> None:
        """Tells Prometheus' operator which pods have Ray's metrics."""
        place = self._cluster.place
        kubernetes.apiextensions.CustomResource(
            "monitor",
            api_version="monitoring.coreos.com/v1",
            kind="PodMonitor",
            metadata=self._metadata(""),
            spec={
                "selector": {"matchLabels": {STACK_LABEL: place.stack}},
                "podMetricsEndpoints": [{"port": "metrics"}],
                "podTargetLabels": [CLUSTER_LABEL, TYPE_LABEL, GROUP_LABEL],
            },
            opts=self._options(),
        )


def volume_of(storage: FaultTolerance, default: str | None) -> Volume | None:
    """The volume that a stack file asks for, of the cluster's `default` class at least.

    The class is always named: what Kubernetes fills in by itself, a later apply without
    it would take away again, and a claim's class cannot change.
    """
    if storage.gcs_storage != "rocksdb":
        return None
    return Volume(storage.storage_class_name or default or "", storage.size)


def redis_options(storage: FaultTolerance) -> dict[str, Any] | None:
    """KubeRay's `gcsFaultToleranceOptions` for a Redis that is there."""
    if storage.gcs_storage != "redis":
        return None
    options: dict[str, Any] = {"redisAddress": storage.redis_address}
    if secret := storage.redis_password:
        reference = {"name": secret.name, "key": secret.key}
        options["redisPassword"] = {"valueFrom": {"secretKeyRef": reference}}
    return options
