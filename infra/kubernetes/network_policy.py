"""Rendering of the network policies of a stack's pods; pure functions.

All connections are denied unless a rule allows their source and port.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raylift.infra.kubernetes.object_scope import COMPONENT_LABEL, PACKAGES, labels
from raylift.ray_service_client import (
    DASHBOARD_PORT,
    METRICS_PORT,
    SERVE_PORT,
    STACK_LABEL,
    TYPE_LABEL,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pulumi import Input

    from raylift.infra.kubernetes.object_scope import ObjectScope

_NAMESPACE = "kubernetes.io/metadata.name"
# The address from which instances in major clouds read their credentials.
_INSTANCE_METADATA = "169.254.169.254/32"


@dataclass(frozen=True, slots=True)
class Callers:
    """Allowed callers besides Ray itself: namespaces by name, networks as CIDRs.

    `api_server` contains the source addresses of the API server's proxy, which commands
    use to access Ray's dashboard, probe applications and read metrics.
    """

    operator: str
    api_server: Sequence[Input[str]] = ()
    serve: Sequence[str] = ()
    serve_cidrs: Sequence[Input[str]] = ()
    metrics: Sequence[str] = ()


def network_policies(scope: ObjectScope, callers: Callers) -> list[dict[str, Any]]:
    """Return two policies: for all pods of the stack, and for the dashboard."""
    own = {"podSelector": {"matchLabels": {STACK_LABEL: scope.stack}}}
    rules = [{"from": [own]}]  # Ray nodes connect to each other on arbitrary ports
    api_server = _blocks(callers.api_server)
    clients = [*_namespaces(callers.serve), *_blocks(callers.serve_cidrs)]
    rules += _rule([*clients, *api_server], SERVE_PORT)
    rules += _rule([*_namespaces(callers.metrics), *api_server], METRICS_PORT)
    control = [*_namespaces([callers.operator]), *api_server]
    return [
        _policy(scope, "ray", {}, rules),
        _policy(scope, "head", {TYPE_LABEL: "head"}, _rule(control, DASHBOARD_PORT)),
    ]


def package_policy(scope: ObjectScope, callers: Callers, port: int) -> dict[str, Any]:
    """Return the policy for the package store, which listens on `port`.

    The policy for all pods of the stack applies to it as well.
    """
    rules = _rule(_blocks(callers.api_server), port)
    return _policy(scope, PACKAGES, {COMPONENT_LABEL: PACKAGES}, rules)


def _policy(
    scope: ObjectScope, name: str, pods: dict[str, str], rules: list[dict[str, Any]]
) -> dict[str, Any]:
    selected = {STACK_LABEL: scope.stack, **pods}
    return {
        "metadata": {
            "name": f"{scope.stack}-{name}",
            "namespace": scope.namespace,
            "labels": labels(scope),
        },
        "spec": {
            "podSelector": {"matchLabels": selected},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": rules,
            "egress": _egress(),
        },
    }


def _egress() -> list[dict[str, Any]]:
    """Return a rule for all destinations except the node's credentials.

    Pods may download packages and weights from any address.
    """
    block = {"cidr": "0.0.0.0/0", "except": [_INSTANCE_METADATA]}
    return [{"to": [{"ipBlock": block}, {"namespaceSelector": {}}]}]


def _rule(sources: list[dict[str, Any]], port: int) -> list[dict[str, Any]]:
    """Return a rule for a port, or none without sources: `from: []` allows all."""
    ports = [{"protocol": "TCP", "port": port}]
    return [{"from": sources, "ports": ports}] if sources else []


def _namespaces(names: Sequence[str]) -> list[dict[str, Any]]:
    return [{"namespaceSelector": {"matchLabels": {_NAMESPACE: n}}} for n in names]


def _blocks(cidrs: Sequence[Input[str]]) -> list[dict[str, Any]]:
    return [{"ipBlock": {"cidr": cidr}} for cidr in cidrs]
