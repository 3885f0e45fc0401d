"""The ConfigMap that describes a stack in its cluster; see `described_stack`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi_kubernetes as kubernetes
from pulumi import Output

from raylift.infra.kubernetes.placement import OVERWRITE
from raylift.ray_service_client import DESCRIPTION_KEY, description_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from raylift.infra.kubernetes.placement import Placement


def describe(
    cluster: Placement, outputs: Mapping[str, Any], *, after: pulumi.Resource
) -> None:
    """Register the ConfigMap with the stack's outputs.

    It is created after the resource `after` and deleted before it.
    """
    kubernetes.core.v1.ConfigMap(
        "description",
        metadata=cluster.metadata(
            name=description_name(cluster.scope.stack),
            annotations=OVERWRITE,  # also what a person has edited
        ),
        data={DESCRIPTION_KEY: Output.json_dumps(outputs)},
        opts=cluster.options(depends_on=[after]),
    )
