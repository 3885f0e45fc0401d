"""Cross-field checks of a stack file with target `kubernetes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylift.infra.config.checks import Finding, changed_keys, check_unique_names
from raylift.infra.kubernetes.ray_checks import RAY_CHECKS, check_sizes
from raylift.infra.kubernetes.validators import object_name
from raylift.infra.kubernetes.worker_group_checks import check_fit
from raylift.infra.kubernetes.worker_groups import node_shapes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raylift.infra.kubernetes.config import (
        Access,
        Ingress,
        NodeGroup,
        Observability,
        PackageVolume,
        Subject,
    )
    from raylift.infra.kubernetes.ray_config import NetworkPolicy, Ray
    from raylift.key_path import KeyPath


def check_node_groups(node_groups: Sequence[NodeGroup]) -> Iterator[Finding]:
    """Check the names and sizes of the node groups."""
    yield from check_unique_names(node_groups, ("nodeGroups",))
    for index, group in enumerate(node_groups):
        yield from check_sizes(("nodeGroups", index), group)


def check_ingress(ingress: Ingress) -> Iterator[Finding]:
    """Check that the Ingress has a class, and that its keys are used."""
    if ingress.type == "none":
        for key in changed_keys(ingress):
            yield Finding(("ingress", key), "requires type: ingressClass")
    elif not ingress.ingress_class_name:
        text = "required with type: ingressClass; for example, nginx"
        yield Finding(("ingress", "ingressClassName"), text)


def check_ingress_source(
    ingress: Ingress, network_policy: NetworkPolicy
) -> Iterator[Finding]:
    """Check that the ingress controller may connect."""
    is_closed = network_policy.enabled and not network_policy.serve_from
    if ingress.type != "none" and is_closed:
        text = (
            "must list the namespace of the ingress controller, such as"
            " [ingress-nginx]; otherwise the controller cannot reach Serve"
        )
        yield Finding(("networkPolicy", "serveFrom"), text)


def check_access(access: Access) -> Iterator[Finding]:
    """Check the subjects: only service accounts have a namespace."""
    for role in ("deployers", "viewers"):
        subjects: Sequence[Subject] = getattr(access, role)
        for index, subject in enumerate(subjects):
            yield from _check_subject(("access", role, index), subject)


def _check_subject(path: KeyPath, subject: Subject) -> Iterator[Finding]:
    if subject.kind != "ServiceAccount":
        if subject.namespace is not None:
            yield Finding((*path, "namespace"), "requires kind: ServiceAccount")
        return
    if subject.namespace is None:
        yield Finding((*path, "namespace"), "required with kind: ServiceAccount")
    try:
        object_name(subject.name)
    except ValueError as error:
        yield Finding((*path, "name"), str(error))


def check_packages(
    packages: str | None, package_volume: PackageVolume | None
) -> Iterator[Finding]:
    """Check that packages go to either a bucket or a package store."""
    if packages and package_volume:
        yield Finding(("packages",), "cannot be combined with packageVolume")


def check_observability(
    observability: Observability, network_policy: NetworkPolicy
) -> Iterator[Finding]:
    """Check that Prometheus may connect if its PodMonitor is required."""
    is_closed = network_policy.enabled and not network_policy.metrics_from
    if observability.prometheus is True and is_closed:
        text = "requires networkPolicy.metricsFrom with the namespace of Prometheus"
        yield Finding(("observability", "prometheus"), f"{text}, such as [monitoring]")


def check_workers(node_groups: Sequence[NodeGroup], ray: Ray) -> Iterator[Finding]:
    """Check that Ray workers fit the nodes."""
    yield from check_fit(ray, node_shapes(node_groups))


CHECKS = (
    check_node_groups,
    *RAY_CHECKS,
    check_ingress,
    check_ingress_source,
    check_access,
    check_packages,
    check_observability,
    check_workers,
)
