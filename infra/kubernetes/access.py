"""Roles in the stack's namespace for people and jobs that do not run `up`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi_kubernetes as kubernetes

from raylift.infra.kubernetes.cluster_info import RBAC

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pulumi

    from raylift.infra.kubernetes.config import Access, Subject
    from raylift.infra.kubernetes.placement import Placement


def access(
    cluster: Placement, config: Access, *, after: Sequence[pulumi.Resource]
) -> None:
    """Register a Role and a RoleBinding for each kind of access that is granted.

    They are created after the resources in `after`.
    """
    granted = (
        ("deployer", deployer_rules(), config.deployers),
        ("viewer", viewer_rules(), config.viewers),
    )
    for role, rules, subjects in granted:
        if not subjects:
            continue
        metadata = cluster.metadata(role)
        options = cluster.options(depends_on=after)
        kubernetes.rbac.v1.Role(
            f"{role}-role", metadata=metadata, rules=rules, opts=options
        )
        kubernetes.rbac.v1.RoleBinding(
            f"{role}-binding",
            metadata=metadata,
            role_ref=_reference(metadata["name"]),
            subjects=[_subject(subject) for subject in subjects],
            opts=options,
        )


def viewer_rules() -> list[Any]:
    """Return the permissions for `status`, `logs`, `traffic APP` and `open`."""
    return [
        _rule("ray.io", ["rayservices"], ["get"]),
        _rule("ray.io", ["rayclusters"], ["get", "list"]),
        _rule("apps", ["controllerrevisions"], ["get", "list"]),
        _rule("", ["pods", "events"], ["get", "list"]),
        _rule("", ["configmaps", "secrets"], ["get"]),
        _rule("", ["services/proxy", "pods/proxy"], ["get"]),
    ]


def deployer_rules() -> list[Any]:
    """Return the permissions for `deploy`, `delete APP` and new weights as well.

    They include POST and PUT requests to the package store, and to applications through
    `open`.
    """
    return [
        *viewer_rules(),
        _rule("ray.io", ["rayservices", "rayclusters"], ["patch"]),
        _rule("apps", ["controllerrevisions"], ["create", "patch", "delete"]),
        _rule("", ["services/proxy"], ["create", "update"]),
    ]


def _rule(group: str, resources: list[str], verbs: list[str]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def _reference(role: str) -> Any:  # noqa: ANN401 RoleRefArgsDict
    return {"apiGroup": RBAC, "kind": "Role", "name": role}


def _subject(subject: Subject) -> Any:  # noqa: ANN401 SubjectArgsDict
    """Return a subject of a RoleBinding; only users and groups have an API group."""
    identity = {"kind": subject.kind, "name": subject.name}
    if subject.namespace is not None:
        return identity | {"namespace": subject.namespace}
    return identity | {"apiGroup": RBAC}
