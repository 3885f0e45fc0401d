"""The Ingress that routes client requests to the serve port, and to no other port."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi_kubernetes as kubernetes
from pulumi import CustomTimeouts

from raylift.ray_service_client import SERVE_PORT

if TYPE_CHECKING:
    from raylift.infra.kubernetes.object_scope import ObjectScope
    from raylift.infra.kubernetes.placement import Placement


def ingress(
    cluster: Placement,
    spec: dict[str, Any],
    annotations: dict[str, Any],
    **options: Any,  # noqa: ANN401 arguments of ResourceOptions
) -> kubernetes.networking.v1.Ingress:
    """Register the Ingress.

    Pulumi waits up to 10 minutes for its deletion, during which the ingress controller
    removes the load balancer.
    """
    body: Any = spec
    timeouts = CustomTimeouts(delete="10m")
    return kubernetes.networking.v1.Ingress(
        "ingress",
        metadata=cluster.metadata(annotations=annotations),
        spec=body,
        opts=cluster.options(custom_timeouts=timeouts, **options),
    )


def rules(scope: ObjectScope, host: str | None) -> list[dict[str, Any]]:
    """Return Ingress rules that route all paths of a host to the serve port.

    Without `host`, the rule applies to every host.
    """
    service = {"name": f"{scope.stack}-serve", "port": {"number": SERVE_PORT}}
    path = {"path": "/", "pathType": "Prefix", "backend": {"service": service}}
    rule: dict[str, Any] = {"http": {"paths": [path]}}
    return [{"host": host, **rule} if host else rule]
