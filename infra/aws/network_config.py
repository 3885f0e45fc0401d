"""Stack file sections for the network of target `aws`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from raylift.infra.aws.types import ZoneId
from raylift.infra.config.base import Section
from raylift.infra.config.types import Host, Seconds
from raylift.infra.kubernetes.types import Auto, Cidr


class Network(Section):
    """The VPC: a new one, or an existing one if `vpcId` is set."""

    vpc_id: str | None = None
    """ID of an existing VPC. It cannot be combined with the keys for a new one."""

    private_subnet_ids: list[str] = []
    """Subnets of the existing VPC for nodes, in at least two zones."""

    public_subnet_ids: list[str] = []
    """Subnets of the existing VPC for internet-facing load balancers."""

    cidr_block: Cidr = "10.0.0.0/16"
    """Private network of the new VPC, /16 to /20.

    It must not overlap 172.20.0.0/16, the Service CIDR of the cluster.
    """

    availability_zones: Annotated[list[str] | None, Auto] = None
    """Zones of the new VPC, at least two.

    By default, three: first those of the node groups, then those that offer their
    instance types.
    """

    nat_gateway: Literal["none", "single", "perAz"] = "single"
    """NAT gateways to the internet: none, one in total, or one per zone.

    `none` requires `vpcEndpoints: private`.
    """

    vpc_endpoints: Literal["s3", "private", "none"] = "s3"
    """VPC endpoints for AWS services: S3 only, all that nodes need, or none."""

    flow_logs: bool = True
    """Whether to record flow logs of the VPC.

    They are kept for `kubernetes.logRetentionDays`.
    """


class Ingress(Section):
    """The entry point for clients: an Application Load Balancer, to the serve port."""

    type: Literal["none", "alb"] = "none"
    """Whether to create an Application Load Balancer."""

    scheme: Literal["internal", "internet-facing"] = "internal"
    """Whether the load balancer is reachable only inside the VPC or from the internet.

    `internet-facing` requires TLS and `allowedCidrs`.
    """

    host: Host | None = None
    """Host name of the load balancer, such as `models.example.com`."""

    certificate_arn: str | None = None
    """ARN of an ACM certificate in the region of the stack.

    It cannot be combined with `hostedZoneId`.
    """

    hosted_zone_id: ZoneId | None = None
    """ID of the public Route 53 zone of `host`.

    The stack requests a certificate for `host` and points its DNS record at the load
    balancer.
    """

    allowed_cidrs: list[Cidr] = []
    """Networks that may send requests. Defaults to the VPC."""

    idle_timeout: Annotated[Seconds, Field(ge=1, le=4000)] = 600
    """Time after which an idle connection is closed.

    In seconds or with a unit, such as `10m`. At most 4000 s.
    """
