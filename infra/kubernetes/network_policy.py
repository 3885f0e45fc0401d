"""Pure: who may connect to a stack's pods. Closed to everybody who is not named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.kubernetes.ray_service import Place, labels
from raylift.ray_service import (
    DASHBOARD_PORT,
    METRICS_PORT,
    SERVE_PORT,
    STACK_LABEL,
    TYPE_LABEL,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMESPACE = "kubernetes.io/metadata.name"
# Where every cloud's instances ask for their own credentials.
_INSTANCE_METADATA = "169.254.169.254/32"


@dataclass(frozen=True, slots=True)
class Callers:
    """Who may connect beside Ray itself: namespaces by name, networks as CIDRs.

    `api_server` are the addresses that the API server's proxies come from: by them the
    commands reach Ray's dashboard, ask whether applications answer, and read metrics.
    """

    operator: str
    api_server: Sequence[Any] = ()
    serve: Sequence[str] = ()
    serve_cidrs: Sequence[Any] = ()
    metrics: Sequence[str] = ()


def network_policies(place: Place, callers: Callers) -> list[dict[str, Any]]:
    """Two policies: for all pods of the stack, and for the head's dashboard."""
    own = {"podSelector": {"matchLabels": {STACK_LABEL: place.stack}}}
    rules = [{"from": [own]}]  # Ray's nodes talk to each other on ports of their choice
    api_server = _blocks(callers.api_server)
    clients = [*_namespaces(callers.serve), *_blocks(callers.serve_cidrs)]
    rules += _rule([*clients, *api_server], SERVE_PORT)
    rules += _rule([*_namespaces(callers.metrics), *api_server], METRICS_PORT)
    control = [*_namespaces([callers.operator]), *api_server]
    return [
        _policy(place, "ray", {}, rules),
        _policy(place, "head", {TYPE_LABEL: "head"}, _rule(control, DASHBOARD_PORT)),
    ]


def _policy(
    place: Place, name: str, pods: dict[str, str], rules: list[dict[str, Any]]
) -> dict[str, Any]:
    selected = {STACK_LABEL: place.stack, **pods}
    return {
        "metadata": {
            "name": f"{place.stack}-{name}",
            "namespace": place.namespace,
            "labels": labels(place),
        },
        "spec": {
            "podSelector": {"matchLabels": selected},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": rules,
            "egress": _outwards(),
        },
    }


def _outwards() -> list[dict[str, Any]]:
    """Everywhere, for packages and weights, but not to the node's own keys."""
    block = {"cidr": "0.0.0.0/0", "except": [_INSTANCE_METADATA]}
    return [{"to": [{"ipBlock": block}, {"namespaceSelector": {}}]}]


def _rule(sources: list[dict[str, Any]], port: int) -> list[dict[str, Any]]:
    """A rule for one port; none at all without a source, which would mean all."""
    ports = [{"protocol": "TCP", "port": port}]
    return [{"from": sources, "ports": ports}] if sources else []


def _namespaces(names: Sequence[str]) -> list[dict[str, Any]]:
    return [{"namespaceSelector": {"matchLabels": {_NAMESPACE: n}}} for n in names]


def _blocks(cidrs: Sequence[Any]) -> list[dict[str, Any]]:
    return [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]
