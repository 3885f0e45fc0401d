"""What is wrong with a stack file for AWS although every single value of it is right.

Only what needs no network. Facts on instance types are EC2's own, in the table.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from infra.aws.instance_types import closest, instance_types, smallest_with_efa
from infra.config import Wrong, changed, check, differ
from infra.kubernetes.checks import of_namespace as of_own_namespace
from infra.kubernetes.checks import of_sizes, of_storage
from infra.kubernetes.names import is_world
from raylift.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.aws.config import (
        AwsConfig,
        Ingress,
        Kubernetes,
        Network,
        NodeGroup,
        SystemNodeGroup,
        WarmPool,
    )
    from infra.aws.instance_types import InstanceType
    from raylift.document import Place

_SERVICES = ipaddress.IPv4Network("172.20.0.0/16")  # EKS' default for Services
_PRIVATE = tuple(
    map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
)
_LARGEST, _SMALLEST = (
    16,
    20,
)  # /20: three zones of /24 for pods and their public and /28 parts
_OF_EXISTING = ("vpcId", "privateSubnetIds", "publicSubnetIds")
_IMAGE_GIB = 100  # a Ray GPU image unpacks to about 35 GiB, the system takes 12
# What ACM issues a first certificate for: 64 octets at most.
_ISSUED = re.compile(
    r"(?=.{1,64}$)([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z][-a-z0-9]{0,61}[a-z0-9]"
)
_MAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
# Standard support: ends 2026-12-02 for 1.34, 2027-03-27 for 1.35 (AWS' calendar).
_SUPPORTED = ("1.34", "1.35", "1.36")


@check
def of_provider(config: AwsConfig) -> Iterator[Wrong]:
    """The region."""
    import botocore.session

    region = config.aws.region
    known = botocore.session.get_session().get_available_regions("eks")
    if region not in known:
        text = f"{region} is no region with EKS{did_you_mean(region, known)}"
        yield Wrong(("aws", "region"), text)


@check
def of_key(config: AwsConfig) -> Iterator[Wrong]:
    """The key that the stack's data are encrypted by, where it is the user's own."""
    if config.kms_key_arn is None:
        return
    _, _, service, region, _, resource = config.kms_key_arn.split(":", 5)
    place = ("kmsKeyArn",)
    if service != "kms" or not resource.startswith("key/"):
        yield Wrong(place, "is no ARN of a KMS key; an alias is none")
    elif region != config.aws.region:
        text = f"is in {region}; the stack needs one in {config.aws.region}"
        yield Wrong(place, text)


@check
def of_network(config: AwsConfig) -> Iterator[Wrong]:
    """The VPC and its subnets."""
    yield from _of_zones(config)
    network = config.network
    yield from _of_existing(network) if network.vpc_id else _of_own(network)


@check
def _of_zones(config: AwsConfig) -> Iterator[Wrong]:
    place: Place = ("network", "availabilityZones")
    zones = config.network.availability_zones
    if zones is not None and len(set(zones)) < 2:  # noqa: PLR2004 EKS' own rule
        yield Wrong(place, "EKS needs at least two zones")
    for zone in zones or []:
        if not zone.startswith(config.aws.region):
            yield Wrong(place, f"{zone} is not in {config.aws.region}")


@check
def _of_own(network: Network) -> Iterator[Wrong]:
    for name in ("private_subnet_ids", "public_subnet_ids"):
        if getattr(network, name):
            key = type(network).model_fields[name].alias or name
            yield Wrong(("network", key), "needs vpcId: they are of a VPC")
    yield from _of_block(network)
    if network.nat_gateway == "none" and network.vpc_endpoints != "private":
        text = "nodes could not reach ECR and STS; set vpcEndpoints: private"
        yield Wrong(("network", "natGateway"), text)


@check
def _of_existing(network: Network) -> Iterator[Wrong]:
    for key in changed(network):
        if key not in _OF_EXISTING:
            yield Wrong(("network", key), "not used with vpcId: that VPC has its own")
    if len(network.private_subnet_ids) < 2:  # noqa: PLR2004 EKS' own rule
        text = "EKS needs subnets in at least two zones"
        yield Wrong(("network", "privateSubnetIds"), text)


@check
def _of_block(network: Network) -> Iterator[Wrong]:
    place, text = ("network", "cidrBlock"), network.cidr_block
    block = ipaddress.IPv4Network(text)
    if block.prefixlen > _SMALLEST:
        yield Wrong(place, f"{text} is too small for three zones; use a /{_SMALLEST}")
    elif block.prefixlen < _LARGEST:
        yield Wrong(place, f"{text} is larger than a VPC may be; use a /{_LARGEST}")
    if block.overlaps(_SERVICES):
        yield Wrong(place, f"{text} overlaps the Kubernetes service range {_SERVICES}")
    if not any(block.subnet_of(private) for private in _PRIVATE):
        yield Wrong(place, f"{text} is not a private network")


@check
def of_cluster(config: AwsConfig) -> Iterator[Wrong]:
    """The EKS cluster and its system nodes."""
    yield from _of_version(config.kubernetes)
    yield from _of_endpoint(config.kubernetes)
    system, place = config.system_node_group, ("systemNodeGroup",)
    yield from of_sizes(place, system)
    yield from _of_types(place, system)
    yield from _of_shape(place, system)
    yield from _of_no_gpus(system)
    yield from _of_head(config)


@check
def _of_version(cluster: Kubernetes) -> Iterator[Wrong]:
    if cluster.version not in _SUPPORTED and cluster.support_type == "STANDARD":
        text = (
            f"{cluster.version} is not in standard support; use one of"
            f" {', '.join(_SUPPORTED)}, or set supportType: EXTENDED"
        )
        yield Wrong(("kubernetes", "version"), text)


@check
def _of_endpoint(cluster: Kubernetes) -> Iterator[Wrong]:
    place = ("kubernetes",)
    if any(map(is_world, cluster.public_access_cidrs or ())):
        text = "open to the whole internet; name addresses, such as 203.0.113.7/32"
        yield Wrong((*place, "publicAccessCidrs"), text)
    if cluster.public_access_cidrs == [] and not cluster.endpoint_private_access:
        text = "nobody could reach the API server"
        yield Wrong((*place, "endpointPrivateAccess"), text)


@check
def _of_no_gpus(system: SystemNodeGroup) -> Iterator[Wrong]:
    for index, found in enumerate(system.types()):
        if found.gpu:
            text = f"{found.name} has a GPU; system nodes need none"
            yield Wrong(("systemNodeGroup", "instanceTypes", index), text)


@check
def of_budget(config: AwsConfig) -> Iterator[Wrong]:
    """Who hears of a budget that is used up."""
    if config.budget and not _MAIL.fullmatch(config.budget.email):
        yield Wrong(("budget", "email"), f"{config.budget.email} is no e-mail address")


@check
def _of_head(config: AwsConfig) -> Iterator[Wrong]:
    """The head runs on a system node, and nowhere else."""
    head, types = config.ray.head, config.system_node_group.types()
    cpus = min(found.pod_cpus for found in types)
    memory = min(found.pod_memory for found in types)
    if head.num_cpus > cpus:
        text = f"a system node gives pods {cpus}; take larger systemNodeGroup types"
        yield Wrong(("ray", "head", "numCpus"), text)
    if head.memory > memory:
        gives = f"{memory >> 30}Gi"
        text = f"a system node gives pods {gives}; take larger systemNodeGroup types"
        yield Wrong(("ray", "head", "memory"), text)


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
def _of_types(place: Place, group: NodeGroup | SystemNodeGroup) -> Iterator[Wrong]:
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
def _of_shape(place: Place, group: NodeGroup | SystemNodeGroup) -> Iterator[Wrong]:
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
    _of_types,
    _of_shape,
    _of_reservation,
    _of_capacity_block,
    _of_efa,
    _of_ami,
    _of_disk,
    _of_warm_pool,
    _of_taints,
)


@check
def of_accelerators(config: AwsConfig) -> Iterator[Wrong]:
    """What runs beside GPUs."""
    if config.accelerators.dcgm_exporter and not config.has_gpus:
        text = "needs a node group with GPUs"
        yield Wrong(("accelerators", "dcgmExporter"), text)


@check
def of_namespace(config: AwsConfig) -> Iterator[Wrong]:
    """The namespace that is made in the new cluster."""
    yield from of_own_namespace(config)
    name = config.kubernetes.namespace
    if name == "default" or name.startswith("kube-"):
        yield Wrong(("kubernetes", "namespace"), f"'{name}' is Kubernetes' own")


@check
def of_fault_tolerance(config: AwsConfig) -> Iterator[Wrong]:
    """Where the head keeps what must outlive it."""
    yield from of_storage(config)
    storage = config.fault_tolerance
    if storage.gcs_storage != "elasticache":
        return
    if storage.multi_az and not storage.replicas:
        yield Wrong(("faultTolerance", "multiAz"), "needs replicas: 1 or more")


@check
def of_ingress(config: AwsConfig) -> Iterator[Wrong]:
    """The load balancer."""
    ingress, place = config.ingress, ("ingress",)
    if ingress.type == "none":
        for key in changed(ingress):
            yield Wrong((*place, key), "not used without type: alb")
        return
    yield from _of_certificate(config)
    yield from _of_zone(ingress)
    if ingress.scheme == "internet-facing":
        yield from _of_public_certificate(ingress)
        yield from _of_public_callers(ingress)
    elif any(map(is_world, ingress.allowed_cidrs)):
        text = "open to everybody who is routed to it; name networks"
        yield Wrong((*place, "allowedCidrs"), text)


@check
def _of_public_certificate(ingress: Ingress) -> Iterator[Wrong]:
    if not ingress.certificate_arn and not ingress.hosted_zone_id:
        text = (
            "TLS required for internet-facing: set certificateArn or"
            " host + hostedZoneId"
        )
        yield Wrong(("ingress", "certificateArn"), text)


@check
def _of_public_callers(ingress: Ingress) -> Iterator[Wrong]:
    if not ingress.allowed_cidrs or any(map(is_world, ingress.allowed_cidrs)):
        text = (
            "internet-facing needs the networks that may call, and not all of them:"
            " applications have no authentication of their own"
        )
        yield Wrong(("ingress", "allowedCidrs"), text)


@check
def _of_certificate(config: AwsConfig) -> Iterator[Wrong]:
    ingress, region = config.ingress, config.aws.region
    if not ingress.certificate_arn:
        return
    parts = ingress.certificate_arn.split(":")
    place = ("ingress", "certificateArn")
    if len(parts) < 6 or parts[2] != "acm":  # noqa: PLR2004 arn:aws:acm:region:account:…
        yield Wrong(place, "is no ARN of an ACM certificate")
    elif parts[3] != region:
        yield Wrong(place, f"is in {parts[3]}; the load balancer needs one in {region}")


@check
def _of_zone(ingress: Ingress) -> Iterator[Wrong]:
    """A certificate that is issued is for the host, which has to be in the zone."""
    if not ingress.hosted_zone_id:
        return
    place = ("ingress", "hostedZoneId")
    if ingress.certificate_arn:
        yield Wrong(place, "not with certificateArn: one certificate is enough")
    if not ingress.host:
        yield Wrong(place, "needs host: the certificate is for it")
    elif not _ISSUED.fullmatch(ingress.host):
        text = "is no domain name of at most 64 lowercase letters, which ACM asks for"
        yield Wrong(("ingress", "host"), f"{ingress.host} {text}")
