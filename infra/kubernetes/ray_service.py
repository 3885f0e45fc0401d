"""The component `RayService`: a RayService object and its dependent objects.

These are service accounts, network policies, the serve Service, the Secret with
environment variables, the GCS volume, disruption budgets and the PodMonitor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import ComponentResource, CustomTimeouts, Output, ResourceOptions

from raylift.infra.kubernetes import haproxy
from raylift.infra.kubernetes.manifest import ray_service
from raylift.infra.kubernetes.network_policy import Callers, network_policies
from raylift.infra.kubernetes.object_scope import GROUP_LABEL
from raylift.infra.kubernetes.placement import EXISTS, OVERWRITE
from raylift.infra.kubernetes.pod_template import PodSettings, Storage
from raylift.infra.kubernetes.volume import Volume
from raylift.ray_service_client import (
    CLUSTER_LABEL,
    SERVE_PORT,
    STACK_LABEL,
    TYPE_LABEL,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raylift.infra.kubernetes.placement import Placement
    from raylift.infra.kubernetes.ray_config import FaultTolerance, Ray
    from raylift.infra.kubernetes.worker_groups import ResolvedWorkerGroup


@dataclass(frozen=True, slots=True)
class RayServiceArgs:
    """Arguments of the component: Ray, workers, storage and callers.

    `volume` holds the state of the GCS; `redis` is KubeRay's
    `gcsFaultToleranceOptions`. Without `policies`, no network policy is created.
    """

    ray: Ray
    workers: Sequence[ResolvedWorkerGroup]
    callers: Callers
    volume: Volume | None = None
    redis: dict[str, Any] | None = None
    policies: bool = True
    is_monitored: bool = False


class RayService(ComponentResource):
    """The Ray service of a stack and its dependent objects."""

    def __init__(
        self,
        cluster: Placement,
        args: RayServiceArgs,
        *,
        after: Sequence[pulumi.Resource],
    ) -> None:
        """Register the component and its children.

        They are created after the resources in `after` and deleted before them.
        """
        super().__init__("raylift:kubernetes:RayService", cluster.scope.stack)
        self._cluster, self._args = cluster, args
        self._after = [*after, *cluster.ready]
        before = [*self._accounts(), *self._policies(), self._service()]
        before.append(self._wrapper())
        claim = self._claim(args.volume) if args.volume else None
        self.service = self._ray_service(self._secret(), claim, before)
        self._budgets()
        if args.is_monitored:
            self._monitor()
        self.register_outputs({})

    def _options(self, **options: Any) -> ResourceOptions:  # noqa: ANN401 arguments of ResourceOptions
        options.setdefault("depends_on", self._after)
        return self._cluster.options(self, **options)

    def _accounts(self) -> list[pulumi.Resource]:
        """Register a service account each for the head and the workers.

        The autoscaler in the head's pod creates and deletes pods.
        """
        return [
            kubernetes.core.v1.ServiceAccount(
                f"{role}-account",
                metadata=self._cluster.metadata(role),
                automount_service_account_token=False,
                opts=self._options(),
            )
            for role in ("head", "worker")
        ]

    def _policies(self) -> list[pulumi.Resource]:
        if not self._args.policies:
            return []
        scope = self._cluster.scope
        return [
            kubernetes.networking.v1.NetworkPolicy(
                f"{body['metadata']['name'].removeprefix(f'{scope.stack}-')}-policy",
                metadata=body["metadata"],
                spec=body["spec"],
                opts=self._options(),
            )
            for body in network_policies(scope, self._args.callers)
        ]

    def _service(self) -> kubernetes.core.v1.Service:
        """Register the Service that routes to the ready workers of all Ray clusters.

        KubeRay's own Service switches to a new cluster before its workers are ready,
        and requests fail until then.
        """
        port = {"name": "serve", "port": SERVE_PORT, "targetPort": SERVE_PORT}
        workers = {STACK_LABEL: self._cluster.scope.stack, TYPE_LABEL: "worker"}
        spec: Any = {"selector": workers, "ports": [port]}
        return kubernetes.core.v1.Service(
            "serve",
            metadata=self._cluster.metadata("serve", annotations=EXISTS),
            spec=spec,
            opts=self._options(),
        )

    def _wrapper(self) -> pulumi.Resource:
        """Register the ConfigMap with the wrapper of HAProxy.

        It exists even if HAProxy is not used: pods of an older cluster may mount it.
        """
        name = haproxy.wrapper_name(self._cluster.scope)
        return kubernetes.core.v1.ConfigMap(
            "haproxy",
            metadata=self._cluster.metadata(name=name),
            data=haproxy.wrapper_data(),
            opts=self._options(),
        )

    def _secret(self) -> kubernetes.core.v1.Secret | None:
        """Register a Secret with environment variables, if there are any.

        Pulumi generates its name. A changed value therefore creates another Secret, the
        RayService changes, and KubeRay starts pods with the new value.
        """
        secret = self._args.ray.secret_env
        if not secret:
            return None
        metadata = self._cluster.metadata()
        del metadata["name"]
        return kubernetes.core.v1.Secret(
            f"{self._cluster.scope.stack}-env",
            metadata=metadata,
            immutable=True,
            string_data={name: Output.secret(value) for name, value in secret.items()},
            opts=self._options(),
        )

    def _claim(self, volume: Volume) -> kubernetes.core.v1.PersistentVolumeClaim:
        """Register a volume for the state of the GCS; each cluster has a directory."""
        return kubernetes.core.v1.PersistentVolumeClaim(
            "gcs",
            metadata=self._cluster.metadata("gcs", annotations=EXISTS),
            spec=volume.claim(),
            opts=self._options(),
        )

    def _ray_service(
        self,
        secret: kubernetes.core.v1.Secret | None,
        claim: kubernetes.core.v1.PersistentVolumeClaim | None,
        before: list[pulumi.Resource],
    ) -> kubernetes.apiextensions.CustomResource:
        args = self._args
        settings = PodSettings(
            self._cluster.scope,
            args.ray,
            Storage(claim.metadata["name"] if claim else None, args.redis),
            secret.metadata["name"] if secret else None,
        )
        body = ray_service(settings, args.workers)
        return kubernetes.apiextensions.CustomResource(
            "ray-service",
            api_version=body["apiVersion"],
            kind=body["kind"],
            metadata={**body["metadata"], "annotations": OVERWRITE},
            spec=body["spec"],
            opts=self._options(
                depends_on=[*before, *self._after],
                custom_timeouts=CustomTimeouts(
                    create="20m", update="20m", delete="10m"
                ),
            ),
        )

    def _budgets(self) -> None:
        """Register the numbers of pods that must stay when nodes are drained.

        A head without durable state must stay. Of the workers that the autoscaler
        always keeps, all but one must stay. A budget of pods whose controller has no
        scale subresource must state the number that stays; otherwise, Kubernetes allows
        no eviction (kubernetes: pkg/controller/disruption/disruption.go).
        """
        scope, args = self._cluster.scope, self._args
        is_durable = args.volume is not None or args.redis is not None
        workers = sum(group.min_replicas * group.num_of_hosts for group in args.workers)
        staying = {"head": 0 if is_durable else 1, "worker": max(workers - 1, 0)}
        for role, number in staying.items():
            if not number:
                continue
            selected = {STACK_LABEL: scope.stack, TYPE_LABEL: role}
            spec: Any = {
                "minAvailable": number,
                "selector": {"matchLabels": selected},
            }
            kubernetes.policy.v1.PodDisruptionBudget(
                f"{role}-budget",
                metadata=self._cluster.metadata(role),
                spec=spec,
                opts=self._options(),
            )

    def _monitor(self) -> None:
        """Register a PodMonitor for the Prometheus Operator to scrape Ray's metrics."""
        scope = self._cluster.scope
        kubernetes.apiextensions.CustomResource(
            "monitor",
            api_version="monitoring.coreos.com/v1",
            kind="PodMonitor",
            metadata=self._cluster.metadata(),
            spec={
                "selector": {"matchLabels": {STACK_LABEL: scope.stack}},
                "podMetricsEndpoints": [{"port": "metrics"}],
                "podTargetLabels": [CLUSTER_LABEL, TYPE_LABEL, GROUP_LABEL],
            },
            opts=self._options(),
        )


def volume_of(storage: FaultTolerance, default: str | None) -> Volume | None:
    """Return the volume for the GCS; `default` is the default StorageClass."""
    if storage.gcs_storage != "rocksdb":
        return None
    return Volume(storage.storage_class_name or default or "", storage.size)


def redis_options(storage: FaultTolerance) -> dict[str, Any] | None:
    """Return KubeRay's `gcsFaultToleranceOptions` for an existing Redis."""
    if storage.gcs_storage != "redis":
        return None
    options: dict[str, Any] = {"redisAddress": storage.redis_address}
    if secret := storage.redis_password:
        reference = {"name": secret.name, "key": secret.key}
        options["redisPassword"] = {"valueFrom": {"secretKeyRef": reference}}
    return options
