"""The way in for clients, to the serve port alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi_kubernetes as kubernetes
from pulumi import CustomTimeouts

from infra.kubernetes.cluster import EXISTS
from infra.kubernetes.ray_service import labels
from raylift.ray_service import SERVE_PORT

if TYPE_CHECKING:
    from infra.kubernetes.cluster import Cluster
    from infra.kubernetes.ray_service import Place


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
