"""Division of a CIDR block into the subnets of each zone; pure functions."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ZoneBlocks:
    """The subnets of one zone.

    `private` is for nodes and pods, `public` for load balancers and NAT gateways,
    `control_plane` for EKS.
    """

    zone: str
    private: str
    public: str
    control_plane: str


def share_out(cidr_block: str, zones: list[str]) -> list[ZoneBlocks]:
    """Split a CIDR block among at most three zones.

    Nodes and pods get three quarters of it, everything else the rest. The control plane
    gets a separate /28 in each zone, which a network policy can admit.
    """
    *private, rest = ipaddress.IPv4Network(cidr_block).subnets(prefixlen_diff=2)
    *public, last = rest.subnets(prefixlen_diff=3)
    control_plane = last.subnets(new_prefix=28)
    return [
        ZoneBlocks(zone, str(a), str(b), str(c))
        for zone, a, b, c in zip(zones, private, public, control_plane, strict=False)
    ]
