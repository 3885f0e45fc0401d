"""Cross-field checks of the network of target `aws`: the VPC and the load balancer."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from raylift.infra.config.checks import Finding, changed_keys
from raylift.infra.kubernetes.validators import is_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raylift.infra.aws.config import Provider
    from raylift.infra.aws.network_config import Ingress, Network

_SERVICES = ipaddress.IPv4Network("172.20.0.0/16")  # EKS' default for Services
_PRIVATE = tuple(
    map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
)
_LARGEST_PREFIX = 16
_SMALLEST_PREFIX = (
    20  # three zones with a /24 for pods, and their public and /28 subnets
)
_MIN_ZONES = 2  # of EKS
_SUBNET_KEYS = ("privateSubnetIds", "publicSubnetIds")
_EXISTING_VPC_KEYS = ("vpcId", *_SUBNET_KEYS)
# ACM issues a first certificate for at most 64 octets.
_DOMAIN = re.compile(
    r"(?=.{1,64}$)([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z][-a-z0-9]{0,61}[a-z0-9]"
)


def check_zones(aws: Provider, network: Network) -> Iterator[Finding]:
    """Check the zones of the VPC."""
    path, zones = ("network", "availabilityZones"), network.availability_zones
    if zones is not None and len(set(zones)) < _MIN_ZONES:
        yield Finding(path, "must have at least two zones, as EKS requires")
    for zone in zones or []:
        if not zone.startswith(aws.region):
            yield Finding(path, f"must list zones of {aws.region}, not '{zone}'")


def check_vpc(network: Network) -> Iterator[Finding]:
    """Check that the keys fit a new VPC or an existing one."""
    yield from _check_existing(network) if network.vpc_id else _check_new(network)


def _check_new(network: Network) -> Iterator[Finding]:
    for key in changed_keys(network):
        if key in _SUBNET_KEYS:
            yield Finding(("network", key), "requires vpcId, the VPC of the subnets")
    yield from _check_block(network.cidr_block)
    if network.nat_gateway == "none" and network.vpc_endpoints != "private":
        text = (
            "none requires vpcEndpoints: private;"
            " otherwise nodes cannot reach ECR and STS"
        )
        yield Finding(("network", "natGateway"), text)


def _check_existing(network: Network) -> Iterator[Finding]:
    for key in changed_keys(network):
        if key not in _EXISTING_VPC_KEYS:
            text = "applies only to a new VPC and cannot be combined with vpcId"
            yield Finding(("network", key), text)
    if len(network.private_subnet_ids) < _MIN_ZONES:
        text = "must have subnets in at least two zones, as EKS requires"
        yield Finding(("network", "privateSubnetIds"), text)


def _check_block(cidr: str) -> Iterator[Finding]:
    path, block = ("network", "cidrBlock"), ipaddress.IPv4Network(cidr)
    if block.prefixlen > _SMALLEST_PREFIX:
        text = f"must be at least a /{_SMALLEST_PREFIX} to hold three zones, not {cidr}"
        yield Finding(path, text)
    elif block.prefixlen < _LARGEST_PREFIX:
        rule = f"must be at most a /{_LARGEST_PREFIX}, the largest block of a VPC"
        text = f"{rule}, not {cidr}"
        yield Finding(path, text)
    if block.overlaps(_SERVICES):
        text = f"must not overlap {_SERVICES}, the Service CIDR of the cluster"
        yield Finding(path, text)
    if not any(block.subnet_of(private) for private in _PRIVATE):
        yield Finding(path, f"must be a private network, not {cidr}")


def check_ingress(ingress: Ingress) -> Iterator[Finding]:
    """Check the load balancer: its certificate, and who may connect."""
    if ingress.type == "none":
        for key in changed_keys(ingress):
            yield Finding(("ingress", key), "requires type: alb")
        return
    yield from _check_certificate(ingress)
    yield from _check_host(ingress)
    yield from _check_clients(ingress)


def _check_certificate(ingress: Ingress) -> Iterator[Finding]:
    path, arn = ("ingress", "certificateArn"), ingress.certificate_arn
    if arn and not _region_of_certificate(arn):
        yield Finding(path, "must be the ARN of an ACM certificate")
    if ingress.scheme == "internet-facing" and not (arn or ingress.hosted_zone_id):
        text = (
            "required with scheme: internet-facing, unless host and hostedZoneId are"
            " set"
        )
        yield Finding(path, text)


def _check_host(ingress: Ingress) -> Iterator[Finding]:
    """Check that ACM can issue a certificate for the host."""
    if not ingress.hosted_zone_id:
        return
    path = ("ingress", "hostedZoneId")
    if ingress.certificate_arn:
        text = (
            "cannot be combined with certificateArn, because the stack requests a"
            " certificate if hostedZoneId is set"
        )
        yield Finding(path, text)
    if not ingress.host:
        yield Finding(path, "requires host, the name in the certificate")
    elif not _DOMAIN.fullmatch(ingress.host):
        text = (
            "must be a lowercase domain name of at most 64 characters, as ACM requires"
        )
        yield Finding(("ingress", "host"), f"{text}, not '{ingress.host}'")


def _check_clients(ingress: Ingress) -> Iterator[Finding]:
    is_public = ingress.scheme == "internet-facing"
    is_open = any(map(is_world, ingress.allowed_cidrs))
    if is_open or (is_public and not ingress.allowed_cidrs):
        text = (
            "must list the networks of clients, not the whole internet:"
            " applications have no authentication"
        )
        yield Finding(("ingress", "allowedCidrs"), text)


def check_certificate_region(aws: Provider, ingress: Ingress) -> Iterator[Finding]:
    """Check that the load balancer and its certificate are in one region."""
    region = _region_of_certificate(ingress.certificate_arn or "")
    if ingress.type == "alb" and region and region != aws.region:
        text = f"must be in {aws.region}, the region of the load balancer, not {region}"
        yield Finding(("ingress", "certificateArn"), text)


def _region_of_certificate(arn: str) -> str:
    """Return the region in the ARN of an ACM certificate, or "" for any other text."""
    match arn.split(":"):
        case [_, _, "acm", region, _, _, *_]:
            return region
    return ""


NETWORK_CHECKS = (check_zones, check_vpc, check_ingress, check_certificate_region)
