"""Cross-field checks of the node groups of target `aws`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylift.infra.aws.instance_types import GIB, instance_types, smallest_with_efa
from raylift.infra.config.checks import Finding, check_unique_names
from raylift.infra.kubernetes.ray_checks import check_sizes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from raylift.infra.aws.config import Provider
    from raylift.infra.aws.instance_types import InstanceType
    from raylift.infra.aws.network_config import Network
    from raylift.infra.aws.node_group_config import NodeGroup, SystemNodeGroup
    from raylift.key_path import KeyPath

_IMAGE_GIB = 100  # a Ray GPU image unpacks to about 35 GiB; the system uses 12
_MAX_TAINTS = 50  # of EKS
# The Cluster Autoscaler and Ray assume that the nodes of a group are alike.
_TRAITS: dict[str, Callable[[InstanceType], str]] = {
    "GPU model": lambda found: found.gpu or "no GPU",
    "architecture": lambda found: found.arch,
    "number of GPUs": lambda found: f"{found.gpus}",
    "size": lambda found: f"{found.vcpus} vCPUs, {found.memory / GIB:g} GiB",
}


def check_node_groups(node_groups: Sequence[NodeGroup]) -> Iterator[Finding]:
    """Check each node group, and that names are unique."""
    yield from check_unique_names(node_groups, ("nodeGroups",))
    for index, group in enumerate(node_groups):
        path: KeyPath = ("nodeGroups", index)
        yield from check_sizes(path, group)
        for check in _GROUP_CHECKS:
            yield from check(path, group)


def check_zones(
    aws: Provider, network: Network, node_groups: Sequence[NodeGroup]
) -> Iterator[Finding]:
    """Check that node groups are in zones of the region and of the network."""
    known = network.availability_zones
    for index, group in enumerate(node_groups):
        for number, zone in enumerate(group.availability_zones or ()):
            if not zone.startswith(aws.region):
                text = f"must be a zone of {aws.region}, not '{zone}'"
            elif known is not None and zone not in known:
                text = f"must be one of raylift:network.availabilityZones, not '{zone}'"
            else:
                continue
            yield Finding(("nodeGroups", index, "availabilityZones", number), text)


def check_efa_zones(
    network: Network, node_groups: Sequence[NodeGroup]
) -> Iterator[Finding]:
    """Check that node groups with EFA are in one zone."""
    for index, group in enumerate(node_groups):
        zones = group.availability_zones or network.availability_zones
        if group.efa and (zones is None or len(zones) != 1):
            text = (
                "requires exactly one zone;"
                " set the group's availabilityZones to one zone"
            )
            yield Finding(("nodeGroups", index, "efa"), text)


def check_shape(path: KeyPath, group: NodeGroup | SystemNodeGroup) -> Iterator[Finding]:
    """Check that the instance types of a group are alike."""
    first, *others = group.types()
    for other in others:
        for name, trait in _TRAITS.items():
            if trait(first) != trait(other):
                both = " and ".join(f"{trait(t)} ({t.name})" for t in (first, other))
                text = f"must all have the same {name}: found {both}"
                yield Finding((*path, "instanceTypes"), text)
                break


def _check_name(path: KeyPath, group: NodeGroup) -> Iterator[Finding]:
    if group.name == "system":
        text = "must not be 'system', the name of the system node group"
        yield Finding((*path, "name"), text)


def _check_desired_size(path: KeyPath, group: NodeGroup) -> Iterator[Finding]:
    size = group.desired_size
    if size is not None and not group.min_size <= size <= group.max_size:
        bounds = f"minSize {group.min_size} and maxSize {group.max_size}"
        text = f"must be between {bounds}, not {size}"
        yield Finding((*path, "desiredSize"), text)


def _check_reservation(path: KeyPath, group: NodeGroup) -> Iterator[Finding]:
    if group.capacity_type == "SPOT" and group.capacity_reservation_id:
        text = "cannot be combined with capacityType: SPOT"
        yield Finding((*path, "capacityReservationId"), text)


def _check_capacity_block(path: KeyPath, group: NodeGroup) -> Iterator[Finding]:
    if group.capacity_type != "CAPACITY_BLOCK":
        return
    single = len(group.instance_types) == 1 and len(group.availability_zones or ()) == 1
    if not group.capacity_reservation_id or not single:
        text = "CAPACITY_BLOCK requires capacityReservationId, one type and one zone"
        yield Finding((*path, "capacityType"), text)
    if not all(found.capacity_blocks for found in group.types()):
        families = {t.family for t in instance_types().values() if t.capacity_blocks}
        text = f"CAPACITY_BLOCK is only supported with {', '.join(sorted(families))}"
        yield Finding((*path, "capacityType"), text)


def _check_efa(path: KeyPath, group: NodeGroup) -> Iterator[Finding]:
    for found in group.types() if group.efa else ():
        if not found.efa:
            smallest = smallest_with_efa(found.family)
            hint = f"; the smallest of its family with EFA is {smallest}"
            text = f"is not supported with {found.name}{hint if smallest else ''}"
            yield Finding((*path, "efa"), text)


def _check_ami_type(path: KeyPath, group: NodeGroup) -> Iterator[Finding]:
    if group.ami_type is None:
        return
    path, first = (*path, "amiType"), group.types()[0]
    arch = "ARM_64" if first.arch == "arm64" else "x86_64"
    if arch not in group.ami_type:
        text = f"must be for {arch}, the architecture of {first.name}"
        yield Finding(path, f"{text}, not {group.ami_type}")
    if group.has_gpus != group.ami_type.endswith("NVIDIA"):
        rule = "must" if group.has_gpus else "must not"
        has = "has GPUs" if group.has_gpus else "has no GPU"
        yield Finding(path, f"{rule} be an NVIDIA type: {first.name} {has}")


def _check_disk(path: KeyPath, group: NodeGroup) -> Iterator[Finding]:
    size = group.disk.size_gib
    if size < _IMAGE_GIB and group.has_gpus:
        text = f"must be at least {_IMAGE_GIB} for a GPU image, not {size}"
        yield Finding((*path, "disk", "sizeGib"), text)


def _check_warm_pool(path: KeyPath, group: NodeGroup) -> Iterator[Finding]:
    pool, path = group.warm_pool, (*path, "warmPool")
    if pool is None:
        return
    if (group.ami_type or "").startswith("BOTTLEROCKET"):
        if pool.pool_state == "HIBERNATED":
            text = "HIBERNATED is not supported with Bottlerocket; use STOPPED"
            yield Finding((*path, "poolState"), text)
        if pool.reuse_on_scale_in:
            text = "is not supported with Bottlerocket"
            yield Finding((*path, "reuseOnScaleIn"), text)
    if group.capacity_type != "ON_DEMAND":
        text = f"cannot be combined with capacityType: {group.capacity_type}"
        yield Finding(path, text)


def _check_taints(path: KeyPath, group: NodeGroup) -> Iterator[Finding]:
    count = len(group.taints or ())
    if count > _MAX_TAINTS:
        text = f"must have at most {_MAX_TAINTS} entries, not {count}"
        yield Finding((*path, "taints"), text)


_GROUP_CHECKS = (
    _check_name,
    _check_desired_size,
    check_shape,
    _check_reservation,
    _check_capacity_block,
    _check_efa,
    _check_ami_type,
    _check_disk,
    _check_warm_pool,
    _check_taints,
)
NODE_GROUP_CHECKS = (check_node_groups, check_zones, check_efa_zones)
