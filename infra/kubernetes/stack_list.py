"""The stacks in a Kubernetes cluster, from the ConfigMaps that describe them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from raylift.errors import FailedPrecondition
from raylift.kube_api import Api
from raylift.kubeconfig import access
from raylift.outputs import KubernetesOutputs
from raylift.ray_service_client import (
    STACK_LABEL,
    cluster_statuses,
    described,
    description_name,
)


@dataclass(frozen=True, slots=True)
class ListedStack:
    """A stack, and how many of its applications are in each state of Serve.

    `problem` states why the stack cannot be read, or is empty.
    """

    name: str
    namespace: str
    project: str = ""
    ray_version: str = ""
    applications: dict[str, int] = field(default_factory=dict)
    problem: str = ""


def list_stacks() -> tuple[str, list[ListedStack]]:
    """Return the current context of the kubeconfig, and the stacks in its cluster.

    Raises:
        InvalidInput: There is no valid kubeconfig or no current context.
        PermissionDenied: The user may not list ConfigMaps and RayServices in all
            namespaces.
    """
    entry = access(None, None)
    with Api(entry) as api:
        maps = api.items("/api/v1/configmaps", labelSelector=STACK_LABEL)
        services = api.items("/apis/ray.io/v1/rayservices", labelSelector=STACK_LABEL)
    states = {_identity(service): _states(service) for service in services}
    listed = (_listed(each, states) for each in maps if _describes(each))
    return entry.context_name, sorted(
        listed, key=lambda each: (each.name, each.namespace)
    )


def _describes(config_map: dict[str, Any]) -> bool:
    _, stack = _identity(config_map)
    return bool(config_map["metadata"]["name"] == description_name(stack))


def _listed(
    config_map: dict[str, Any], states: dict[tuple[str, str], dict[str, int]]
) -> ListedStack:
    namespace, name = identity = _identity(config_map)
    try:
        outputs = KubernetesOutputs.of(described(config_map))
    except FailedPrecondition as error:
        return ListedStack(name, namespace, problem=str(error))
    applications = states.get(identity, {})
    return ListedStack(
        name, namespace, outputs.project, outputs.ray_version, applications
    )


def _identity(thing: dict[str, Any]) -> tuple[str, str]:
    """Return the namespace and the stack of an object."""
    metadata = thing["metadata"]
    return metadata["namespace"], metadata["labels"][STACK_LABEL]


def _states(service: dict[str, Any]) -> dict[str, int]:
    active, pending = cluster_statuses(service)
    serving = active if active.get("rayClusterName") else pending
    applications = serving.get("applicationStatuses") or {}
    # KubeRay omits the status of an application that Ray has not reported yet.
    states = (each.get("status") for each in applications.values())
    return dict(Counter(filter(None, states)))
