"""Cross-field checks of a stack file with target `aws`. They do not call AWS."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from raylift.infra.aws.network_checks import NETWORK_CHECKS
from raylift.infra.aws.node_group_checks import NODE_GROUP_CHECKS, check_shape
from raylift.infra.aws.node_shapes import node_shapes
from raylift.infra.config.checks import Finding
from raylift.infra.kubernetes.ray_checks import RAY_CHECKS, check_sizes
from raylift.infra.kubernetes.validators import is_world
from raylift.infra.kubernetes.worker_group_checks import check_fit
from raylift.messages import did_you_mean, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from raylift.infra.aws.cluster_config import (
        Accelerators,
        FaultTolerance,
        Kubernetes,
    )
    from raylift.infra.aws.config import Budget, Provider
    from raylift.infra.aws.node_group_config import NodeGroup, SystemNodeGroup
    from raylift.infra.kubernetes.ray_config import Ray
    from raylift.key_path import KeyPath

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
# Standard support ends 2026-12-02 for 1.34, 2027-03-27 for 1.35 (AWS' calendar).
_SUPPORTED = ("1.34", "1.35", "1.36")


def check_region(aws: Provider) -> Iterator[Finding]:
    """Check that the region has EKS."""
    regions = _eks_regions()
    if aws.region not in regions:
        near = did_you_mean(aws.region, regions)
        text = f"'{printable(aws.region)}' is not a region with EKS{near}"
        yield Finding(("aws", "region"), text)


@functools.cache
def _eks_regions() -> list[str]:
    """Return the regions with EKS, read from a large file in botocore."""
    import botocore.session

    regions = botocore.session.get_session().get_available_regions("eks")
    return list(regions)


def check_key(kms_key_arn: str | None) -> Iterator[Finding]:
    """Check that the user's own key is a KMS key."""
    if kms_key_arn and not _region_of_key(kms_key_arn):
        yield Finding(("kmsKeyArn",), "must be the ARN of a KMS key, not of an alias")


def check_key_region(aws: Provider, kms_key_arn: str | None) -> Iterator[Finding]:
    """Check that the user's own key is in the region of the stack."""
    region = _region_of_key(kms_key_arn or "")
    if region and region != aws.region:
        text = f"must be in {aws.region}, the region of the stack, not {region}"
        yield Finding(("kmsKeyArn",), text)


def _region_of_key(arn: str) -> str:
    """Return the region in the ARN of a KMS key, or "" for any other text."""
    match arn.split(":", 5):
        case [_, _, "kms", region, _, resource] if resource.startswith("key/"):
            return region
    return ""


def check_version(kubernetes: Kubernetes) -> Iterator[Finding]:
    """Check that EKS supports the version of Kubernetes."""
    version = kubernetes.version
    if version not in _SUPPORTED and kubernetes.support_type == "STANDARD":
        text = (
            f"{version} is not in standard support; use one of"
            f" {', '.join(_SUPPORTED)}, or set supportType: EXTENDED"
        )
        yield Finding(("kubernetes", "version"), text)


def check_endpoint(kubernetes: Kubernetes) -> Iterator[Finding]:
    """Check who can reach the API server."""
    cidrs = kubernetes.public_access_cidrs
    if any(map(is_world, cidrs or ())):
        text = (
            "must not include the whole internet; list addresses such as 203.0.113.7/32"
        )
        yield Finding(("kubernetes", "publicAccessCidrs"), text)
    if cidrs == [] and not kubernetes.endpoint_private_access:
        text = (
            "must be true if publicAccessCidrs is empty;"
            " otherwise the cluster has no endpoint"
        )
        yield Finding(("kubernetes", "endpointPrivateAccess"), text)


def check_cluster_namespace(kubernetes: Kubernetes) -> Iterator[Finding]:
    """Check that the namespace of the stack can be created."""
    name = kubernetes.namespace
    if name == "default" or name.startswith("kube-"):
        text = f"must not be '{name}', which is reserved for Kubernetes"
        yield Finding(("kubernetes", "namespace"), text)


def check_system_nodes(system_node_group: SystemNodeGroup) -> Iterator[Finding]:
    """Check the sizes and instance types of system nodes."""
    path: KeyPath = ("systemNodeGroup",)
    yield from check_sizes(path, system_node_group)
    yield from check_shape(path, system_node_group)
    for index, found in enumerate(system_node_group.types()):
        if found.gpu:
            text = f"must be a type without GPUs, not {found.name}"
            yield Finding((*path, "instanceTypes", index), text)


def check_head(ray: Ray, system_node_group: SystemNodeGroup) -> Iterator[Finding]:
    """Check that the head fits a system node, where it always runs."""
    types = system_node_group.types()
    cpus = min(found.pod_cpus for found in types)
    memory = min(found.pod_memory for found in types)
    offer = (
        "the allocatable amount on a system node;"
        " use larger instance types in systemNodeGroup"
    )
    if ray.head.num_cpus > cpus:
        yield Finding(("ray", "head", "numCpus"), f"must be at most {cpus}, {offer}")
    if ray.head.memory > memory:
        text = f"must be at most {memory >> 30}Gi, {offer}"
        yield Finding(("ray", "head", "memory"), text)


def check_accelerators(
    accelerators: Accelerators, node_groups: Sequence[NodeGroup]
) -> Iterator[Finding]:
    """Check that add-ons for GPUs have nodes to run on."""
    has_gpus = any(group.has_gpus for group in node_groups)
    if accelerators.dcgm_exporter and not has_gpus:
        text = "requires a node group with GPUs"
        yield Finding(("accelerators", "dcgmExporter"), text)


def check_elasticache(fault_tolerance: FaultTolerance) -> Iterator[Finding]:
    """Check that ElastiCache has a replica for failover."""
    is_used = fault_tolerance.gcs_storage == "elasticache"
    if is_used and fault_tolerance.multi_az and not fault_tolerance.replicas:
        text = "requires at least 1 replica"
        yield Finding(("faultTolerance", "multiAz"), text)


def check_budget(budget: Budget | None) -> Iterator[Finding]:
    """Check the email address for budget alerts."""
    if budget and not _EMAIL.fullmatch(budget.email):
        text = f"must be an email address, not '{printable(budget.email)}'"
        yield Finding(("budget", "email"), text)


def check_workers(
    node_groups: Sequence[NodeGroup], ray: Ray, system_node_group: SystemNodeGroup
) -> Iterator[Finding]:
    """Check that Ray workers fit the nodes."""
    yield from check_fit(ray, node_shapes(node_groups, system_node_group))


CHECKS = (
    *NODE_GROUP_CHECKS,
    check_region,
    check_key,
    check_key_region,
    *NETWORK_CHECKS,
    check_version,
    check_endpoint,
    check_cluster_namespace,
    check_system_nodes,
    check_head,
    check_accelerators,
    check_elasticache,
    check_budget,
    *RAY_CHECKS,
    check_workers,
)
