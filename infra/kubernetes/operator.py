"""The KubeRay operator by its Helm chart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi_kubernetes as kubernetes

from infra.kubernetes.cluster import GUARD
from infra.kubernetes.ray_service import labels

if TYPE_CHECKING:
    from infra.kubernetes.cluster import Cluster
    from infra.kubernetes.config import Ray

CHART = "https://ray-project.github.io/kuberay-helm/"


def operator(cluster: Cluster, ray: Ray) -> kubernetes.helm.v3.Release:
    """The KubeRay operator by its Helm chart, in a namespace of its own."""
    home = kubernetes.core.v1.Namespace(
        "operator-namespace",
        metadata={
            "name": ray.operator.namespace,
            "labels": labels(cluster.place) | GUARD,
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
