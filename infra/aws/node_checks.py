"""What does not fit together in a node group of AWS; facts on types are the table's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.aws.instance_types import closest, instance_types, smallest_with_efa
from infra.config import Wrong, check, differ
from infra.kubernetes.checks import of_sizes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.aws.config import AwsConfig, NodeGroup, SystemNodeGroup, WarmPool
    from infra.aws.instance_types import InstanceType
    from raylift.document import Place

_IMAGE_GIB = 100  # a Ray GPU image unpacks to about 35 GiB, the system takes 12


@check
def of_node_groups(config: AwsConfig) -> Iterator[Wrong]:
    """The groups of GPU and CPU nodes for Ray workers."""
    yield from differ(config.node_groups, ("nodeGroups",))
    for index, group in enumerate(config.node_groups):
        place: Place = ("nodeGroups", index)
        yield from of_sizes(place, group)
        for part in _OF_A_GROUP:
            yield from part(place, group)
        yield from _of_group_zones(place, group, config)
        yield from _of_efa_zones(place, group, config)


@check
def _of_name(place: Place, group: NodeGroup) -> Iterator[Wrong]:
    if group.name == "system":
        yield Wrong((*place, "name"), "'system' is the group of raylift's own")


@check
def _of_desired(place: Place, group: NodeGroup) -> Iterator[Wrong]:
    wanted = group.desired_size
    if wanted is not None and not group.min_size <= wanted <= group.max_size:
        text = f"{wanted} is outside of {group.min_size} to {group.max_size}"
        yield Wrong((*place, "desiredSize"), text)


@check
def of_types(place: Place, group: NodeGroup | SystemNodeGroup) -> Iterator[Wrong]:
    """Instance types that the table does not have, or that have a part of a GPU."""
    for index, name in enumerate(group.instance_types):
        found, at = instance_types().get(name), (*place, "instanceTypes", index)
        if found is None:
            near = ", ".join(closest(name))
            hint = f"; closest: {near}" if near else ""
            yield Wrong(at, f"{name} is not known{hint}")
        elif not found.is_whole:
            instead = next(t for t in closest(name.replace("f.", ".")) if "f." not in t)
            text = f"{name} has a fraction of an {found.gpu}; use {instead}"
            yield Wrong(at, text)


@check
def of_shape(place: Place, group: NodeGroup | SystemNodeGroup) -> Iterator[Wrong]:
    """The Cluster Autoscaler and Ray take all nodes of a group for alike."""
    first, *others = group.types()
    for other in others:
        if first.gpu != other.gpu:
            text = f"{_gpu(first)} and {_gpu(other)} in one group; split it into two"
        elif first.arch != other.arch:
            text = f"{first.name} is {first.arch}, {other.name} is {other.arch}"
        elif first.gpus != other.gpus:
            text = f"{first.name} has {_count(first)}, {other.name} has {_count(other)}"
        elif (first.vcpus, first.memory) != (other.vcpus, other.memory):
            text = f"{_size(first)}, {_size(other)}; a group has one size"
        else:
            continue
        yield Wrong((*place, "instanceTypes"), text)


def _gpu(found: InstanceType) -> str:
    return f"{found.gpu or 'no GPU'} ({found.name})"


def _count(found: InstanceType) -> str:
    return f"{found.gpus} GPU{'' if found.gpus == 1 else 's'}"


def _size(found: InstanceType) -> str:
    return f"{found.name} has {found.vcpus} vCPUs and {found.memory >> 30} GiB"


@check
def _of_reservation(place: Place, group: NodeGroup) -> Iterator[Wrong]:
    if group.capacity_type == "SPOT" and group.capacity_reservation_id:
        text = "spot nodes cannot use a reservation"
        yield Wrong((*place, "capacityReservationId"), text)


@check
def _of_capacity_block(place: Place, group: NodeGroup) -> Iterator[Wrong]:
    if group.capacity_type != "CAPACITY_BLOCK":
        return
    single = len(group.instance_types) == 1 and len(group.availability_zones or ()) == 1
    if not group.capacity_reservation_id or not single:
        text = "CAPACITY_BLOCK needs capacityReservationId, one type and one zone"
        yield Wrong((*place, "capacityType"), text)
    if not all(found.capacity_blocks for found in group.types()):
        text = "capacity blocks exist for p4d, p4de, p5 and p6 only"
        yield Wrong((*place, "capacityType"), text)


@check
def _of_group_zones(
    place: Place, group: NodeGroup, config: AwsConfig
) -> Iterator[Wrong]:
    region, known = config.aws.region, config.network.availability_zones
    for index, zone in enumerate(group.availability_zones or ()):
        if not zone.startswith(region):
            text = f"{zone} is not in {region}"
        elif known is not None and zone not in known:
            text = f"{zone} is not in raylift:network.availabilityZones"
        else:
            continue
        yield Wrong((*place, "availabilityZones", index), text)


@check
def _of_efa(place: Place, group: NodeGroup) -> Iterator[Wrong]:
    for found in group.types() if group.efa else ():
        if not found.efa:
            able = smallest_with_efa(found.family)
            hint = f"; the smallest of its family: {able}" if able else ""
            yield Wrong((*place, "efa"), f"{found.name} has no EFA{hint}")


@check
def _of_efa_zones(place: Place, group: NodeGroup, config: AwsConfig) -> Iterator[Wrong]:
    zones = group.availability_zones or config.network.availability_zones
    if group.efa and (zones is None or len(zones) != 1):
        text = "needs one zone; set availabilityZones of the group"
        yield Wrong((*place, "efa"), text)


@check
def _of_ami(place: Place, group: NodeGroup) -> Iterator[Wrong]:
    if group.ami_type is None:
        return
    place, first = (*place, "amiType"), group.types()[0]
    arch = "ARM_64" if first.arch == "arm64" else "x86_64"
    if arch not in group.ami_type:
        text = f"{group.ami_type} does not run on {first.name} ({arch})"
        yield Wrong(place, text)
    if group.has_gpus != group.ami_type.endswith("NVIDIA"):
        has = "has GPUs" if group.has_gpus else "has no GPU"
        yield Wrong(place, f"{group.ami_type}, but {first.name} {has}")


@check
def _of_disk(place: Place, group: NodeGroup) -> Iterator[Wrong]:
    size = group.disk.size_gib
    if size < _IMAGE_GIB and group.has_gpus:
        text = f"{size} is too small for a GPU image; use {_IMAGE_GIB}"
        yield Wrong((*place, "disk", "sizeGib"), text)


@check
def _of_warm_pool(place: Place, group: NodeGroup) -> Iterator[Wrong]:
    pool, place = group.warm_pool, (*place, "warmPool")
    if pool is None:
        return
    yield from _of_bottlerocket(place, pool, group)
    if group.capacity_type != "ON_DEMAND":
        yield Wrong(place, f"not with capacityType: {group.capacity_type}")


@check
def _of_bottlerocket(place: Place, pool: WarmPool, group: NodeGroup) -> Iterator[Wrong]:
    if not (group.ami_type or "").startswith("BOTTLEROCKET"):
        return
    if pool.pool_state == "HIBERNATED":
        text = "Bottlerocket cannot hibernate; use STOPPED"
        yield Wrong((*place, "poolState"), text)
    if pool.reuse_on_scale_in:
        text = "Bottlerocket nodes cannot go back into a warm pool"
        yield Wrong((*place, "reuseOnScaleIn"), text)


@check
def _of_taints(place: Place, group: NodeGroup) -> Iterator[Wrong]:
    if group.taints and len(group.taints) > 50:  # noqa: PLR2004 EKS' own limit
        yield Wrong((*place, "taints"), "at most 50 taints")


_OF_A_GROUP = (
    _of_name,
    _of_desired,
    of_types,
    of_shape,
    _of_reservation,
    _of_capacity_block,
    _of_efa,
    _of_ami,
    _of_disk,
    _of_warm_pool,
    _of_taints,
)
