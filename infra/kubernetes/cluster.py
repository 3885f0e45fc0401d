"""Where objects of a stack are made: its place in a cluster, and its namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi_kubernetes as kubernetes
from pulumi import ResourceOptions

from infra.kubernetes.ray_service import labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pulumi

    from infra.kubernetes.ray_service import Place

# Kubernetes' own guard on what pods of a namespace may ask for.
GUARD = {
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


def namespace(cluster: Cluster) -> kubernetes.core.v1.Namespace:
    """The stack's namespace, with Kubernetes' own guard on what pods may ask for."""
    name = cluster.place.namespace
    return kubernetes.core.v1.Namespace(
        "namespace",
        metadata={"name": name, "labels": labels(cluster.place) | GUARD},
        opts=cluster.options(depends_on=cluster.ready),
    )
