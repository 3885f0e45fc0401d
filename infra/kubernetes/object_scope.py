"""Name, namespace and labels of the objects that belong to a stack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raylift.ray_service_client import STACK_LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulumi import Input

GROUP_LABEL = "raylift.io/worker-group"
# The part of a stack that a pod belongs to; only the package store has this label.
COMPONENT_LABEL = "raylift.io/component"
PACKAGES = "packages"


@dataclass(frozen=True, slots=True)
class ObjectScope:
    """A stack's name, its namespace, and the labels from `raylift:tags`."""

    stack: str
    namespace: Input[str]
    labels: Mapping[str, str]


def labels(scope: ObjectScope) -> dict[str, str]:
    """Return the labels of every object in a stack.

    Recovery and `delete` use `STACK_LABEL` to identify the objects of a stack.
    """
    return {
        **scope.labels,
        "app.kubernetes.io/managed-by": "raylift",
        "app.kubernetes.io/part-of": "raylift",
        STACK_LABEL: scope.stack,
    }
