"""Pending operations of an interrupted run in an exported Pulumi state.

All functions are pure; they read or return a state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulumi.automation import Deployment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_KEY = "pending_operations"
# Stored in the state as `initErrors`, so both survive another interruption.
_UNUSABLE = "an interrupted run was creating this"
_UPDATED = "an interrupted run was updating this"


def resources_of(state: Deployment) -> list[dict[str, Any]]:
    """Return the resources of a state; Pulumi omits an empty list."""
    return (state.deployment or {}).get("resources") or []


def describe_pending(state: Deployment) -> list[str]:
    """Return each pending operation as `creating aws:ec2/vpc:Vpc vpc`."""
    return [_describe(operation) for operation in _operations(state)]


def interrupted_creates(state: Deployment) -> dict[str, dict[str, Any]]:
    """Return the resources that were being created, by description. They have no ID."""
    return {
        _describe(operation): operation["resource"]
        for operation in _operations(state, "creating")
    }


def resolve_pending(
    state: Deployment, found: Iterable[tuple[str, dict[str, Any]]] = ()
) -> Deployment:
    """Return the state without pending operations.

    Resources that were being updated are marked (`interrupted_updates`), so that the
    next run updates them even if the program has not changed. `found` are resources of
    `interrupted_creates` that exist, with their IDs. They are added to the state; until
    the refresh (`unrefreshed`), their inputs serve as outputs. If the state already has
    a resource of that URN, the added one was its replacement and is marked for deletion
    by the next run.
    """
    deployment = {k: v for k, v in (state.deployment or {}).items() if k != _KEY}
    updating = {o["resource"]["urn"] for o in _operations(state, "updating")}
    resources = [
        {**r, "initErrors": [_UPDATED]} if r["urn"] in updating else r
        for r in resources_of(state)
    ]
    recorded_urns = {resource["urn"] for resource in resources}
    for ident, resource in found:
        entry = {**resource, "id": ident, "importID": ident}
        entry["outputs"] = resource.get("inputs", {})
        if resource["urn"] in recorded_urns:
            entry["delete"] = True
        resources.append(entry)
    if resources:
        deployment["resources"] = resources
    return Deployment(version=state.version, deployment=deployment)


def mark_unusable(resource: dict[str, Any]) -> dict[str, Any]:
    """Return the resource, marked for deletion and unprotected."""
    return {**resource, "protect": False, "initErrors": [_UNUSABLE]}


def unusable(state: Deployment) -> list[str]:
    """Return the URNs marked by `mark_unusable` that the next run would keep."""
    return [
        resource["urn"]
        for resource in resources_of(state)
        if resource.get("initErrors") == [_UNUSABLE] and not resource.get("delete")
    ]


def interrupted_updates(state: Deployment) -> list[dict[str, Any]]:
    """Return the resources whose update was interrupted, regardless of their state."""
    return [r for r in resources_of(state) if r.get("initErrors") == [_UPDATED]]


def interrupted_deletes(state: Deployment) -> list[str]:
    """Return the recorded URNs that were being deleted and have no dependents.

    Replaced resources are excluded, because they share their URN with the replacement.
    """
    resources = resources_of(state)
    needed = {urn for resource in resources for urn in _dependencies(resource)}
    replaced = {resource["urn"] for resource in resources if resource.get("delete")}
    deleting = [o["resource"]["urn"] for o in _operations(state, "deleting")]
    return [urn for urn in recorded(state, deleting) if urn not in needed | replaced]


def _dependencies(resource: dict[str, Any]) -> Iterator[str]:
    yield from resource.get("dependencies", ())
    yield from filter(None, (resource.get("parent"), resource.get("deletedWith")))
    yield resource.get("provider", "").rpartition("::")[0]


def recorded(state: Deployment, urns: Iterable[str]) -> list[str]:
    """Return the URNs that are in the state."""
    known = {resource["urn"] for resource in resources_of(state)}
    return [urn for urn in urns if urn in known]


def unrefreshed(state: Deployment) -> list[str]:
    """Return the URNs that `resolve_pending` added and that were not refreshed yet."""
    return [
        resource["urn"]
        for resource in resources_of(state)
        if resource.get("importID")
        and resource.get("outputs", {}) == resource.get("inputs", {})
    ]


def protected(state: Deployment) -> list[str]:
    """Return each protected resource as `aws:ec2/vpc:Vpc vpc`."""
    return [
        _name(resource) for resource in resources_of(state) if resource.get("protect")
    ]


def _describe(operation: dict[str, Any]) -> str:
    return f"{operation['type']} {_name(operation['resource'])}"


def _name(resource: dict[str, Any]) -> str:
    return f"{resource['type']} {resource['urn'].rsplit('::', 1)[-1]}"


def _operations(state: Deployment, kind: str = "") -> list[dict[str, Any]]:
    """Return all pending operations, or those of one kind."""
    operations = (state.deployment or {}).get(_KEY) or []
    return [o for o in operations if kind in ("", o["type"])]
