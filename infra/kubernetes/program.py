"""The Pulumi program inside a Kubernetes cluster: the operator and the Ray service.

Target `kubernetes` runs it alone, target `aws` after its cluster. Everything is
labelled with the stack's name, and nothing that was there before becomes its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi import ComponentResource, CustomTimeouts, Output, ResourceOptions

from infra.kubernetes.network_policy import Callers, network_policies
from infra.kubernetes.ray_service import (
    CLUSTER_LABEL,
    GROUP_LABEL,
    SERVE_PORT,
    STACK_LABEL,
    TYPE_LABEL,
    Place,
    Storage,
    labels,
    quantity,
    ray_service,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from infra.aws.config import AwsConfig
    from infra.kubernetes.config import FaultTolerance, Ingress, KubernetesConfig, Ray
    from infra.kubernetes.facts import Facts
    from infra.kubernetes.workers import Worker

CHART = "https://ray-project.github.io/kuberay-helm/"
# Kubernetes' own guard on what pods of a namespace may ask for.
_GUARD = {
    "pod-security.kubernetes.io/enforce": "baseline",
    "pod-security.kubernetes.io/warn": "restricted",
}
# No generic resource is awaited, and these are not ready before an application is:
# they count as made once they exist. Their deletion is awaited all the same.
EXISTS = {"pulumi.com/waitFor": "jsonpath={.metadata.uid}"}


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where to build: the stack's place in it, and how to reach it.

    `provider` is of the cluster; `ready` must be there before any object is and
    outlives all of them.
    """

    place: Place
    provider: kubernetes.Provider
    ready: Sequence[pulumi.Resource] = ()

    def options(
        self,
        parent: pulumi.Resource | None = None,
        **more: Any,  # noqa: ANN401 Pulumi's own
    ) -> ResourceOptions:
        """Options of an object in this cluster."""
        return ResourceOptions(parent=parent, provider=self.provider, **more)


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


def build(config: KubernetesConfig, stack: str, facts: Facts) -> dict[str, Any]:
    """The program of target `kubernetes`; what the stack hands over.

    The provider is bound to the cluster it first saw, not to a kubeconfig's text: a
    new token in that file must not replace every object.
    """
    named = config.kubernetes
    place = Place(stack, named.namespace, config.tags)
    provider = kubernetes.Provider(
        "kubernetes",
        kubeconfig=named.kubeconfig,
        # By name, so that a later delete does not follow the user to another cluster.
        context=named.context or facts.context,
        cluster_identifier=facts.uid or None,
    )
    cluster = Cluster(place, provider)
    space = namespace(cluster) if facts.owns_namespace else None
    operator_at = (
        facts.operator.namespace if facts.operator else config.ray.operator.namespace
    )
    callers = Callers(
        operator=operator_at,
        api_server=config.network_policy.api_server_cidrs or facts.api_server,
        serve=config.network_policy.serve_from,
        metrics=config.network_policy.metrics_from,
    )
    release = None if facts.operator else operator(cluster, config.ray)
    service = RayService(
        cluster,
        Wanted(
            ray=config.ray,
            workers=config.workers(),
            callers=callers,
            volume=volume_of(config.fault_tolerance, facts.default_storage_class),
            redis=redis_options(config.fault_tolerance),
            policies=config.network_policy.enabled,
            is_monitored=_is_monitored(config, facts),
        ),
        after=[made for made in (space, release) if made],
    )
    if config.ingress.type == "ingressClass":
        _ingress(cluster, config.ingress, service)
    return handed_over(config, stack, facts.uid)


def _is_monitored(config: KubernetesConfig, facts: Facts) -> bool:
    """Whether Prometheus' operator is there and Prometheus may ask the pods."""
    policy = config.network_policy
    can_ask = bool(policy.metrics_from) or not policy.enabled
    return (
        config.observability.prometheus is not False
        and facts.has_prometheus
        and can_ask
    )


def handed_over(
    config: KubernetesConfig | AwsConfig,
    stack: str,
    cluster: Any,  # noqa: ANN401 text, or an Output of it
) -> dict[str, Any]:
    """The stack's outputs; `version` is that of this list of keys."""
    return {
        "version": 1,
        "stack": stack,
        "target": config.target,
        "cluster": cluster,
        "namespace": config.kubernetes.namespace,
        "rayVersion": config.ray.version,
        "serveService": f"{stack}-serve",
    }


def namespace(cluster: Cluster) -> kubernetes.core.v1.Namespace:
    """The stack's namespace, with Kubernetes' own guard on what pods may ask for."""
    name = cluster.place.namespace
    return kubernetes.core.v1.Namespace(
        "namespace",
        metadata={"name": name, "labels": labels(cluster.place) | _GUARD},
        opts=cluster.options(depends_on=cluster.ready),
    )


def operator(cluster: Cluster, ray: Ray) -> kubernetes.helm.v3.Release:
    """The KubeRay operator by its Helm chart, in a namespace of its own."""
    home = kubernetes.core.v1.Namespace(
        "operator-namespace",
        metadata={
            "name": ray.operator.namespace,
            "labels": labels(cluster.place) | _GUARD,
        },
        opts=cluster.options(depends_on=cluster.ready),
    )
    size = {"cpu": "500m", "memory": "1Gi"}
    values: dict[str, Any] = {
        "resources": {"requests": {**size, "cpu": "100m"}, "limits": size}
    }
    # In place of the chart's list: what is not named is as the operator has it.
    if ray.operator.feature_gates:
        gates = [gate.model_dump() for gate in ray.operator.feature_gates]
        values["featureGates"] = gates
    return kubernetes.helm.v3.Release(
        "kuberay-operator",
        chart="kuberay-operator",
        version=ray.operator.version,
        repository_opts={"repo": CHART},
        namespace=home.metadata["name"],
        name="kuberay-operator",
        values=values,
        atomic=True,
        cleanup_on_fail=True,
        timeout=600,
        opts=cluster.options(depends_on=[home, *cluster.ready]),
    )


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


def ingress(
    cluster: Cluster,
    spec: dict[str, Any],
    annotations: dict[str, Any],
    **more: Any,  # noqa: ANN401 Pulumi's options
) -> kubernetes.networking.v1.Ingress:
    """The way in for clients; its deletion is awaited, for its controller to act."""
    place = cluster.place
    metadata: Any = {
        "name": place.stack,
        "namespace": place.namespace,
        "labels": labels(place),
        "annotations": {**EXISTS, **annotations},
    }
    body: Any = spec
    timeouts = CustomTimeouts(delete="10m")
    return kubernetes.networking.v1.Ingress(
        "ingress",
        metadata=metadata,
        spec=body,
        opts=cluster.options(custom_timeouts=timeouts, **more),
    )


def rules(place: Place, host: str | None) -> list[dict[str, Any]]:
    """An Ingress' rules: everything of a host to the serve port, and nothing else."""
    service = {"name": f"{place.stack}-serve", "port": {"number": SERVE_PORT}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    rule: dict[str, Any] = {"http": {"paths": [path]}}
    return [{"host": host, **rule} if host else rule]


def _ingress(cluster: Cluster, wanted: Ingress, service: RayService) -> None:
    spec: dict[str, Any] = {
        "ingressClassName": wanted.ingress_class_name,
        "rules": rules(cluster.place, wanted.host),
    }
    if wanted.tls_secret_name:
        hosts = [wanted.host] if wanted.host else []
        spec["tls"] = [{"hosts": hosts, "secretName": wanted.tls_secret_name}]
    ingress(cluster, spec, wanted.annotations, depends_on=[service.service])
