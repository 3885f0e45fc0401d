"""The Pulumi program of target `kubernetes`: namespace, KubeRay, Ray service, Ingress.

Target `aws` uses the same parts after creating its cluster. Every object carries the
stack's label. Existing objects are never adopted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_kubernetes as kubernetes

from raylift.infra.kubernetes.access import access
from raylift.infra.kubernetes.description import describe
from raylift.infra.kubernetes.ingress import ingress, rules
from raylift.infra.kubernetes.network_policy import Callers
from raylift.infra.kubernetes.object_scope import ObjectScope
from raylift.infra.kubernetes.operator import operator
from raylift.infra.kubernetes.package_store import PackageStore
from raylift.infra.kubernetes.package_uri import packages_uri
from raylift.infra.kubernetes.placement import EXISTS, Placement, namespace
from raylift.infra.kubernetes.pod_template import PodSettings
from raylift.infra.kubernetes.ray_service import (
    RayService,
    RayServiceArgs,
    redis_options,
    volume_of,
)
from raylift.infra.kubernetes.volume import Volume
from raylift.infra.kubernetes.worker_groups import workers_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pulumi import Input

    from raylift.infra.kubernetes.cluster_info import ClusterInfo
    from raylift.infra.kubernetes.config import Ingress, KubernetesConfig
    from raylift.infra.kubernetes.ray_config import RayOnKubernetes


def build(config: KubernetesConfig, stack: str, info: ClusterInfo) -> dict[str, Any]:
    """Register the resources of target `kubernetes` and return the stack's outputs."""
    scope = ObjectScope(stack, config.kubernetes.namespace, config.tags)
    cluster = Placement(scope, _provider(config, info))
    space = namespace(cluster) if info.owns_namespace else None
    installs = info.operator is None and config.ray.operator.install is not False
    release = operator(cluster, config.ray) if installs else None
    after: list[pulumi.Resource] = [each for each in (space, release) if each]
    callers = _callers(config, info)
    if store := _package_store(cluster, config, info, callers, after=after):
        after.append(store.server)
    service = RayService(
        cluster,
        RayServiceArgs(
            ray=config.ray,
            workers=workers_of(config),
            callers=callers,
            volume=volume_of(config.fault_tolerance, info.default_storage_class),
            redis=redis_options(config.fault_tolerance),
            policies=config.network_policy.enabled,
            is_monitored=_is_monitored(config, info),
        ),
        after=after,
    )
    if config.ingress.type == "ingressClass":
        _ingress(cluster, config.ingress, service)
    outputs = stack_outputs(config, stack, info.uid)
    if uri := packages_uri(config, stack):
        outputs["packages"] = uri
    access(cluster, config.access, after=after)
    describe(cluster, outputs, after=service.service)
    return outputs


def _provider(config: KubernetesConfig, info: ClusterInfo) -> kubernetes.Provider:
    """Register the provider of the cluster.

    The context is explicit: a later delete must not use another cluster because the
    current context changed. The cluster is identified by its UID instead of the text of
    the kubeconfig: a new token in it must not replace every object.
    """
    return kubernetes.Provider(
        "kubernetes",
        kubeconfig=config.kubernetes.kubeconfig,
        context=config.kubernetes.context or info.context,
        cluster_identifier=info.uid or None,
        # Otherwise, changed data would replace a ConfigMap, and pods that mount it
        # could not start in the meantime.
        enable_config_map_mutable=True,
    )


def _package_store(
    cluster: Placement,
    config: KubernetesConfig,
    info: ClusterInfo,
    callers: Callers,
    *,
    after: Sequence[pulumi.Resource],
) -> PackageStore | None:
    """Register the package store, if the stack file asks for one."""
    wanted = config.package_volume
    if wanted is None:
        return None
    name = wanted.storage_class_name or info.default_storage_class or ""
    return PackageStore(
        cluster,
        PodSettings(cluster.scope, config.ray),
        Volume(name, wanted.size),
        callers if config.network_policy.enabled else None,
        after=after,
    )


def _callers(config: KubernetesConfig, info: ClusterInfo) -> Callers:
    policy, existing = config.network_policy, info.operator
    return Callers(
        operator=existing.namespace if existing else config.ray.operator.namespace,
        api_server=policy.api_server_cidrs or info.api_server,
        serve=policy.serve_from,
        metrics=policy.metrics_from,
    )


def _is_monitored(config: KubernetesConfig, info: ClusterInfo) -> bool:
    """Return whether the Prometheus Operator exists and may scrape the pods."""
    policy = config.network_policy
    can_scrape = bool(policy.metrics_from) or not policy.enabled
    is_enabled = config.observability.prometheus is not False
    return is_enabled and info.has_prometheus and can_scrape


def stack_outputs(
    config: RayOnKubernetes,
    stack: str,
    cluster_id: Input[str],
) -> dict[str, Any]:
    """Return the stack's outputs; `version` is the version of their format."""
    return {
        "version": 1,
        "stack": stack,
        "project": pulumi.get_project(),
        "target": config.target,
        "cluster": cluster_id,
        "namespace": config.kubernetes.namespace,
        "rayVersion": config.ray.version,
        "serveService": f"{stack}-serve",
    }


def _ingress(cluster: Placement, config: Ingress, service: RayService) -> None:
    spec: dict[str, Any] = {
        "ingressClassName": config.ingress_class_name,
        "rules": rules(cluster.scope, config.host),
    }
    if config.tls_secret_name:
        hosts = [config.host] if config.host else []
        spec["tls"] = [{"hosts": hosts, "secretName": config.tls_secret_name}]
    annotations = EXISTS | config.annotations
    ingress(cluster, spec, annotations, depends_on=[service.service])
