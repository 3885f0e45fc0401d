"""Pure: how a VPC's addresses are shared out among zones."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ZoneBlocks:
    """The networks of one zone: nodes and pods, load balancers and NAT, EKS' own."""

    zone: str
    private: str
    public: str
    control_plane: str


def share_out(cidr_block: str, zones: list[str]) -> list[ZoneBlocks]:
    """Three quarters for nodes and pods, one for the rest; up to three zones.

    The control plane has a /28 in each zone to itself, so that a network policy can
    let the API server in and nobody else.
    """
    *private, rest = ipaddress.IPv4Network(cidr_block).subnets(prefixlen_diff=2)
    *public, last = rest.subnets(prefixlen_diff=3)
    control_plane = last.subnets(new_prefix=28)
    return [
        ZoneBlocks(zone, str(a), str(b), str(c))
        for zone, a, b, c in zip(zones, private, public, control_plane, strict=False)
    ]
