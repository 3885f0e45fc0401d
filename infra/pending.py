"""Pure: operations that a killed run had begun, in an exported state of Pulumi."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulumi.automation import Deployment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_KEY = "pending_operations"
_CUT_OFF = "a run was cut off while this was made"
_UNSURE = "a run was cut off while this was changed"


def resources_of(state: Deployment) -> list[dict[str, Any]]:
    """What an exported state has; Pulumi leaves the list out where it is empty."""
    return (state.deployment or {}).get("resources") or []


def pending(state: Deployment) -> list[str]:
    """What was being done, as `creating aws:ec2/vpc:Vpc vpc`."""
    return [_words(operation) for operation in _operations(state)]


def begun(state: Deployment) -> dict[str, dict[str, Any]]:
    """Resources that were being created, by their words; no ID is known."""
    return {
        _words(operation): operation["resource"]
        for operation in _operations(state, "creating")
    }


def without_pending(
    state: Deployment, found: Iterable[tuple[str, dict[str, Any]]] = ()
) -> Deployment:
    """The state with no operation pending.

    What was being changed is marked (`unsure`): the next run changes it whether the
    program has or not. `found` are resources of `begun` that are there, with their
    IDs. They become the stack's, with what was asked for until a refresh says what is
    (`unread`). One whose place is taken by what it was to replace goes with the next
    run.
    """
    deployment = {k: v for k, v in (state.deployment or {}).items() if k != _KEY}
    changed = {o["resource"]["urn"] for o in _operations(state, "updating")}
    resources = [
        {**r, "initErrors": [_UNSURE]} if r["urn"] in changed else r
        for r in resources_of(state)
    ]
    taken = {resource["urn"] for resource in resources}
    for ident, resource in found:
        entry = {**resource, "id": ident, "importID": ident}
        entry["outputs"] = resource.get("inputs", {})
        if resource["urn"] in taken:
            entry["delete"] = True
        resources.append(entry)
    if resources:
        deployment["resources"] = resources
    return Deployment(version=state.version, deployment=deployment)


def half_made(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource marked as of no use, which outlives another kill; unprotected."""
    return {**resource, "protect": False, "initErrors": [_CUT_OFF]}


def useless(state: Deployment) -> list[str]:
    """URNs of what `half_made` has marked and the next run would not delete anyway."""
    return [
        resource["urn"]
        for resource in resources_of(state)
        if resource.get("initErrors") == [_CUT_OFF] and not resource.get("delete")
    ]


def unsure(state: Deployment) -> list[dict[str, Any]]:
    """Resources that may be as they were, as they were to be, or between."""
    return [r for r in resources_of(state) if r.get("initErrors") == [_UNSURE]]


def ending(state: Deployment) -> list[str]:
    """URNs of what was being deleted, is in the state still, and nothing stands on.

    Not what is deleted because something took its place: that has the same URN.
    """
    resources = resources_of(state)
    needed = {urn for resource in resources for urn in _stands_on(resource)}
    replaced = {resource["urn"] for resource in resources if resource.get("delete")}
    begun = [o["resource"]["urn"] for o in _operations(state, "deleting")]
    return [urn for urn in there(state, begun) if urn not in needed | replaced]


def _stands_on(resource: dict[str, Any]) -> Iterator[str]:
    yield from resource.get("dependencies", ())
    yield from filter(None, (resource.get("parent"), resource.get("deletedWith")))
    yield resource.get("provider", "").rpartition("::")[0]


def there(state: Deployment, urns: Iterable[str]) -> list[str]:
    """Those of the URNs that the state has."""
    known = {resource["urn"] for resource in resources_of(state)}
    return [urn for urn in urns if urn in known]


def unread(state: Deployment) -> list[str]:
    """URNs of resources taken over of which nothing has been read yet."""
    return [
        resource["urn"]
        for resource in resources_of(state)
        if resource.get("importID")
        and resource.get("outputs", {}) == resource.get("inputs", {})
    ]


def protected(state: Deployment) -> list[str]:
    """What must not be deleted, as `aws:ec2/vpc:Vpc vpc`."""
    return [
        _name(resource) for resource in resources_of(state) if resource.get("protect")
    ]


def _words(operation: dict[str, Any]) -> str:
    return f"{operation['type']} {_name(operation['resource'])}"


def _name(resource: dict[str, Any]) -> str:
    return f"{resource['type']} {resource['urn'].rsplit('::', 1)[-1]}"


def _operations(state: Deployment, kind: str = "") -> list[dict[str, Any]]:
    """Pending operations: those of a kind, or all."""
    found = (state.deployment or {}).get(_KEY) or []
    return [operation for operation in found if kind in ("", operation["type"])]
