"""What is wrong with a stack file for AWS although every single value of it is right.

Only what needs no network.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import TYPE_CHECKING

from infra.aws.node_checks import of_shape, of_types
from infra.config import Wrong, changed, check
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
        SystemNodeGroup,
    )
    from raylift.document import Place

_SERVICES = ipaddress.IPv4Network("172.20.0.0/16")  # EKS' default for Services
_PRIVATE = tuple(
    map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
)
_LARGEST = 16
_SMALLEST = 20  # three zones of /24 for pods, and their public and /28 parts
_OF_EXISTING = ("vpcId", "privateSubnetIds", "publicSubnetIds")
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
    region, known = config.aws.region, _regions()
    if region not in known:
        text = f"{region} is no region with EKS{did_you_mean(region, known)}"
        yield Wrong(("aws", "region"), text)


@functools.cache
def _regions() -> list[str]:
    """Regions with EKS, from a large file of botocore's."""
    import botocore.session

    found = botocore.session.get_session().get_available_regions("eks")
    return list(found)


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
    for key in changed(network):
        if key in ("privateSubnetIds", "publicSubnetIds"):
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
    yield from of_types(place, system)
    yield from of_shape(place, system)
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
    arn, place = config.ingress.certificate_arn, ("ingress", "certificateArn")
    if not arn:
        return
    parts = arn.split(":")
    if len(parts) < 6 or parts[2] != "acm":  # noqa: PLR2004 arn:aws:acm:region:account:…
        yield Wrong(place, "is no ARN of an ACM certificate")
    elif parts[3] != config.aws.region:
        text = f"the load balancer needs one in {config.aws.region}"
        yield Wrong(place, f"is in {parts[3]}; {text}")


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
