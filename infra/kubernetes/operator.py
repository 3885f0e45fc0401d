"""Installation of the KubeRay operator with its Helm chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi_kubernetes as kubernetes

from raylift.infra.kubernetes.object_scope import labels
from raylift.infra.kubernetes.placement import GUARD

if TYPE_CHECKING:
    from raylift.infra.kubernetes.placement import Placement
    from raylift.infra.kubernetes.ray_config import Ray

CHART = "https://ray-project.github.io/kuberay-helm/"


def operator(cluster: Placement, ray: Ray) -> kubernetes.helm.v3.Release:
    """Register the operator's Helm release and a separate namespace for it."""
    home = kubernetes.core.v1.Namespace(
        "operator-namespace",
        metadata={
            "name": ray.operator.namespace,
            "labels": labels(cluster.scope) | GUARD,
        },
        opts=cluster.options(depends_on=cluster.ready),
    )
    return kubernetes.helm.v3.Release(
        "kuberay-operator",
        chart="kuberay-operator",
        version=ray.operator.version,
        repository_opts={"repo": CHART},
        namespace=home.metadata["name"],
        name="kuberay-operator",
        values=_chart_values(ray),
        atomic=True,
        cleanup_on_fail=True,
        timeout=600,  # seconds
        opts=cluster.options(depends_on=[home, *cluster.ready]),
    )


def _chart_values(ray: Ray) -> dict[str, Any]:
    limits = {"cpu": "500m", "memory": "1Gi"}
    values: dict[str, Any] = {
        "resources": {"requests": {**limits, "cpu": "100m"}, "limits": limits}
    }
    if ray.image_registry:
        values["image"] = {"repository": f"{ray.image_registry}/kuberay/operator"}
    # Replaces the chart's list; other gates keep the default of the operator.
    if ray.operator.feature_gates:
        values["featureGates"] = [
            gate.model_dump() for gate in ray.operator.feature_gates
        ]
    return values
