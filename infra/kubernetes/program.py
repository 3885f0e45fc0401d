"""The Pulumi program inside a Kubernetes cluster: the operator and the Ray service.

Target `kubernetes` runs it alone, target `aws` its parts after its cluster. Everything
is labelled with the stack's name, and nothing that was there before becomes its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi_kubernetes as kubernetes

from infra.kubernetes.cluster import Cluster, namespace
from infra.kubernetes.component import RayService, Wanted, redis_options, volume_of
from infra.kubernetes.ingress import ingress, rules
from infra.kubernetes.network_policy import Callers
from infra.kubernetes.operator import operator
from infra.kubernetes.ray_service import Place

if TYPE_CHECKING:
    from infra.kubernetes.config import Ingress, KubernetesConfig, RayOnKubernetes
    from infra.kubernetes.facts import Facts


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
    installs = facts.operator is None and config.ray.operator.install is not False
    release = operator(cluster, config.ray) if installs else None
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
    outputs = handed_over(config, stack, facts.uid)
    return outputs | ({"packages": config.packages} if config.packages else {})


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
    config: RayOnKubernetes,
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


def _ingress(cluster: Cluster, wanted: Ingress, service: RayService) -> None:
    spec: dict[str, Any] = {
        "ingressClassName": wanted.ingress_class_name,
        "rules": rules(cluster.place, wanted.host),
    }
    if wanted.tls_secret_name:
        hosts = [wanted.host] if wanted.host else []
        spec["tls"] = [{"hosts": hosts, "secretName": wanted.tls_secret_name}]
    ingress(cluster, spec, wanted.annotations, depends_on=[service.service])
