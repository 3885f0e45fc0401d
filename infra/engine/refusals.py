"""Checks that refuse operations with unintended data loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.errors import FailedPrecondition
from raylift.infra.engine.pending_operations import protected, resources_of
from raylift.infra.engine.progress import STATEFUL
from raylift.infra.kubernetes.ownership import served_by_operator, unmanaged_objects
from raylift.ray_service_client import description_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pulumi.automation import Deployment

    from raylift.infra.stack import StackChange
    from raylift.kube_api import Api
    from raylift.ray_service_client import RayServiceClient

_NAMESPACE = "::kubernetes:core/v1:Namespace::namespace"
_OPERATOR = "::kubernetes:helm.sh/v3:Release::kuberay-operator"


def refuse_another_cluster(stack: str, outputs: Mapping[str, Any], uid: str) -> None:
    """Raise FailedPrecondition if the stack was created in another cluster.

    The current context of a kubeconfig can change; the cluster of a stack cannot.
    """
    if outputs.get("cluster", uid) != uid:
        raise FailedPrecondition(
            f"stack '{stack}' belongs to a different cluster from the one in the"
            " current context",
            hint="set raylift:kubernetes.context to the context of its cluster",
        )


def refuse_undescribed(service: RayServiceClient, outputs: dict[str, Any]) -> None:
    """Raise FailedPrecondition if the ConfigMap in the cluster lacks these outputs.

    Pulumi does not notice that a person deleted or edited it.
    """
    if service.description() != outputs:
        raise FailedPrecondition(
            f"ConfigMap '{description_name(service.stack)}' was deleted or edited by"
            " hand",
            hint=f"run `pulumi refresh -s {service.stack}`, then the same command"
            " again",
        )


def refuse_data_loss(changes: Sequence[StackChange]) -> None:
    """Raise FailedPrecondition if a resource that stores data would be replaced.

    The error prefers a resource that is the cause over its dependents.
    """
    lost = [
        change
        for change in changes
        if change.action == "replace" and change.what.split()[0] in STATEFUL
    ]
    for change in sorted(lost, key=lambda change: not change.reason)[:1]:
        cause = change.reason or "a replaced dependency"
        raise FailedPrecondition(
            f"{change.what} would be replaced and its data lost, because of {cause}",
            hint="revert the change, or pass --restart to allow it",
        )


def refuse_protected(stack: str, state: Deployment) -> None:
    """Raise FailedPrecondition if deletion protection covers a resource."""
    if guarded := protected(state):
        raise FailedPrecondition(
            f"raylift:protection.deletionProtection protects {guarded[0]}",
            hint=f"set it to false, run `raylift up -s {stack}`, then run"
            f" `raylift delete -s {stack}`",
        )


def refuse_unmanaged(stack: str, state: Deployment, namespace: str, api: Api) -> None:
    """Raise FailedPrecondition if a deletion would affect objects of others.

    These are objects in the stack's namespace, and workloads of its operator.
    """
    urns = [resource["urn"] for resource in resources_of(state)]
    if any(urn.endswith(_NAMESPACE) for urn in urns) and (
        others := unmanaged_objects(api, namespace, stack)
    ):
        raise FailedPrecondition(
            f"deleting this stack would also delete namespace '{namespace}', which"
            f" contains objects that the stack does not own: {', '.join(others)}",
            hint="move or delete them first",
        )
    if any(urn.endswith(_OPERATOR) for urn in urns) and (
        others := served_by_operator(api, stack)
    ):
        raise FailedPrecondition(
            "deleting this stack would uninstall the KubeRay operator, which other"
            f" workloads depend on: {', '.join(others)}",
            hint="delete them first, or keep this stack",
        )
