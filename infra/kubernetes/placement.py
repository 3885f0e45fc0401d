"""The cluster and namespace in which a stack's objects are created."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi_kubernetes as kubernetes
from pulumi import ResourceOptions

from raylift.infra.kubernetes.object_scope import labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pulumi

    from raylift.infra.kubernetes.object_scope import ObjectScope

_ENFORCE = "pod-security.kubernetes.io/enforce"
_WARN = "pod-security.kubernetes.io/warn"
# Pod Security Admission for a namespace with pods of others, such as those of a chart.
GUARD = {_ENFORCE: "baseline", _WARN: "restricted"}
# Without this annotation, Pulumi would wait until Services, claims and Ingresses are
# ready, which they are only after an application is deployed. Pulumi still waits for
# their deletion. `waitFor` is not used: Pulumi reads it only when it creates an object,
# and after a refresh would report a change of each object that is not ready.
EXISTS = {"pulumi.com/skipAwait": "true"}
# KubeRay 1.7 adds a finalizer to a RayService by an update of the whole object, which
# makes it an owner of every field. Pulumi could not change these fields otherwise.
OVERWRITE = {"pulumi.com/patchForce": "true"}


@dataclass(frozen=True, slots=True)
class Placement:
    """The cluster in which objects are created, and the scope of the stack.

    Every object is created after the resources in `ready` and deleted before them.
    """

    scope: ObjectScope
    provider: kubernetes.Provider
    ready: Sequence[pulumi.Resource] = ()

    def metadata(self, suffix: str = "", **fields: Any) -> Any:  # noqa: ANN401 ObjectMetaArgsDict
        """Return the metadata of an object, named after the stack and a suffix."""
        name = self.scope.stack
        return {
            "name": f"{name}-{suffix}" if suffix else name,
            "namespace": self.scope.namespace,
            "labels": labels(self.scope),
            **fields,
        }

    def options(
        self,
        parent: pulumi.Resource | None = None,
        **options: Any,  # noqa: ANN401 arguments of ResourceOptions
    ) -> ResourceOptions:
        """Return resource options for an object in this cluster."""
        return ResourceOptions(parent=parent, provider=self.provider, **options)


def namespace(cluster: Placement) -> kubernetes.core.v1.Namespace:
    """Register the stack's namespace, which limits the privileges of its pods."""
    name = cluster.scope.namespace
    return kubernetes.core.v1.Namespace(
        "namespace",
        metadata={
            "name": name,
            "labels": labels(cluster.scope) | {_ENFORCE: "restricted"},
        },
        opts=cluster.options(depends_on=cluster.ready),
    )
