"""The VPC: subnets by zone, ways out, and endpoints.

On create the control plane waits for subnets and private routes alone, and nodes for
the way out as well. A resource goes after what depends on it, so on destroy the way
out outlives every node: nodes need it to drain, and controllers to clean up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi_aws as aws

from infra.aws.subnets import ZoneBlocks, share_out

if TYPE_CHECKING:
    import pulumi

    from infra.aws.account import Account

_PRIVATE_ENDPOINTS = (
    "autoscaling", "ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth",
    "elasticloadbalancing", "logs", "ssm", "sts",
)  # fmt: skip
_ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, slots=True)
class Network:
    """A VPC as the cluster uses it.

    `private` are the nodes' subnets by zone; `api_server` the networks that the
    control plane's addresses are in, `load_balancers` those of load balancers, and
    `inside` the VPC's own.
    `for_cluster` must be there before the cluster, `for_nodes` before any node.
    """

    vpc_id: Any
    private: dict[str, Any]
    control_plane: list[Any]
    api_server: list[Any]
    load_balancers: list[Any]
    inside: str
    for_cluster: list[pulumi.Resource] = field(default_factory=list)
    for_nodes: list[pulumi.Resource] = field(default_factory=list)


def network(here: Account, zones: list[str]) -> Network:
    """The stack's own VPC, or the one that its file names."""
    if here.config.network.vpc_id:
        return _existing(here)
    blocks = share_out(here.config.network.cidr_block, zones)
    vpc = aws.ec2.Vpc(
        "vpc",
        cidr_block=here.config.network.cidr_block,
        enable_dns_support=True,
        enable_dns_hostnames=True,
        tags={"Name": here.stack},
        opts=here.guarded(),
    )
    # The group that everything without one belongs to lets nothing in or out.
    closed = aws.ec2.DefaultSecurityGroup(
        "default-security-group",
        vpc_id=vpc.id,
        ingress=[],
        egress=[],
        opts=here.options(),
    )
    made = _Vpc(here, vpc, blocks)
    made.endpoints()
    return made.network(closed)


class _Vpc:
    """A VPC in the making."""

    def __init__(
        self, here: Account, vpc: aws.ec2.Vpc, blocks: list[ZoneBlocks]
    ) -> None:
        self._here, self._vpc, self._blocks = here, vpc, blocks
        self._way_out: list[pulumi.Resource] = []
        self._routed: list[pulumi.Resource] = []
        self._tables: list[aws.ec2.RouteTable] = []
        self._public = self._public_subnets()
        gateways = self._nat_gateways()
        self._private = self._subnets(
            "private", "private", "kubernetes.io/role/internal-elb"
        )
        self._control = self._subnets("control-plane", "control_plane", "")
        self._route_privately(gateways)

    def network(self, closed: pulumi.Resource) -> Network:
        """What the rest of the stack needs to know."""
        internal = self._here.config.ingress.scheme == "internal"
        return Network(
            vpc_id=self._vpc.id,
            private={zone: subnet.id for zone, subnet in self._private.items()},
            control_plane=[subnet.id for subnet in self._control.values()],
            api_server=[blocks.control_plane for blocks in self._blocks],
            load_balancers=[b.private if internal else b.public for b in self._blocks],
            inside=self._here.config.network.cidr_block,
            for_cluster=[*self._routed, closed],
            for_nodes=self._way_out,
        )

    def _subnets(self, name: str, block: str, role: str) -> dict[str, aws.ec2.Subnet]:
        return {
            blocks.zone: aws.ec2.Subnet(
                f"{name}-{blocks.zone}",
                vpc_id=self._vpc.id,
                cidr_block=getattr(blocks, block),
                availability_zone=blocks.zone,
                map_public_ip_on_launch=False,
                tags={
                    "Name": f"{self._here.stack}-{name}-{blocks.zone}",
                    **({role: "1"} if role else {}),
                },
                # Controllers add tags of their own to the subnets that they use.
                opts=self._here.options(ignore_changes=["tags"]),
            )
            for blocks in self._blocks
        }

    def _public_subnets(self) -> dict[str, aws.ec2.Subnet]:
        """Subnets with a way to the internet, for NAT and load balancers."""
        if self._is_private():
            return {}
        subnets = self._subnets("public", "public", "kubernetes.io/role/elb")
        door = aws.ec2.InternetGateway(
            "internet-gateway", vpc_id=self._vpc.id, opts=self._here.options()
        )
        table = self._table("public")
        out = aws.ec2.Route(
            "public-internet",
            route_table_id=table.id,
            destination_cidr_block=_ANYWHERE,
            gateway_id=door.id,
            opts=self._here.options(),
        )
        joined = [
            self._join(f"public-{zone}", table, subnet)
            for zone, subnet in subnets.items()
        ]
        self._way_out += [door, out, *joined]
        return subnets

    def _is_private(self) -> bool:
        ingress = self._here.config.ingress
        is_public = ingress.type == "alb" and ingress.scheme == "internet-facing"
        return self._here.config.network.nat_gateway == "none" and not is_public

    def _nat_gateways(self) -> dict[str, aws.ec2.NatGateway]:
        """One for all zones, or one for each: what a zone's loss takes away."""
        kind = self._here.config.network.nat_gateway
        zones = list(self._public) if kind == "perAz" else list(self._public)[:1]
        return {} if kind == "none" else {zone: self._nat(zone) for zone in zones}

    def _nat(self, zone: str) -> aws.ec2.NatGateway:
        address = aws.ec2.Eip(f"nat-{zone}", domain="vpc", opts=self._here.options())
        return aws.ec2.NatGateway(
            f"nat-{zone}",
            allocation_id=address.id,
            subnet_id=self._public[zone].id,
            tags={"Name": f"{self._here.stack}-{zone}"},
            # Its addresses are let go only while the way to the internet is there.
            opts=self._here.options(depends_on=list(self._way_out)),
        )

    def _route_privately(self, gateways: dict[str, aws.ec2.NatGateway]) -> None:
        """A table for each NAT gateway; the control plane needs no way out."""
        tables: dict[int, aws.ec2.RouteTable] = {}
        for zone, subnet in self._private.items():
            gateway = gateways.get(zone) or next(iter(gateways.values()), None)
            if id(gateway) not in tables:
                name = f"private-{zone}" if len(gateways) > 1 else "private"
                tables[id(gateway)] = self._table(name)
                if gateway is not None:
                    self._way_out += [
                        gateway,
                        self._nat_route(name, tables[id(gateway)], gateway),
                    ]
            self._routed.append(
                self._join(f"private-{zone}", tables[id(gateway)], subnet)
            )
        inner = self._table("control-plane")
        for zone, subnet in self._control.items():
            self._routed.append(self._join(f"control-plane-{zone}", inner, subnet))

    def _nat_route(
        self, name: str, table: aws.ec2.RouteTable, gateway: aws.ec2.NatGateway
    ) -> aws.ec2.Route:
        return aws.ec2.Route(
            f"{name}-nat",
            route_table_id=table.id,
            destination_cidr_block=_ANYWHERE,
            nat_gateway_id=gateway.id,
            opts=self._here.options(),
        )

    def _table(self, name: str) -> aws.ec2.RouteTable:
        table = aws.ec2.RouteTable(
            name,
            vpc_id=self._vpc.id,
            tags={"Name": f"{self._here.stack}-{name}"},
            opts=self._here.options(),
        )
        self._tables.append(table)
        return table

    def _join(
        self, name: str, table: aws.ec2.RouteTable, subnet: aws.ec2.Subnet
    ) -> aws.ec2.RouteTableAssociation:
        return aws.ec2.RouteTableAssociation(
            name,
            route_table_id=table.id,
            subnet_id=subnet.id,
            opts=self._here.options(),
        )

    def endpoints(self) -> None:
        """AWS' services without a way over the internet: S3 costs nothing."""
        wanted = self._here.config.network.vpc_endpoints
        if wanted == "none":
            return
        region = self._here.region
        s3 = aws.ec2.VpcEndpoint(
            "s3-endpoint",
            vpc_id=self._vpc.id,
            service_name=f"com.amazonaws.{region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in self._tables],
            opts=self._here.options(),
        )
        self._way_out.append(s3)
        if wanted == "private":
            self._interfaces()

    def _interfaces(self) -> None:
        group = aws.ec2.SecurityGroup(
            "endpoints",
            vpc_id=self._vpc.id,
            description="AWS services inside the VPC",
            opts=self._here.options(),
        )
        rule = aws.vpc.SecurityGroupIngressRule(
            "endpoints-https",
            security_group_id=group.id,
            description="HTTPS from inside the VPC",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4=self._here.config.network.cidr_block,
            opts=self._here.options(),
        )
        self._way_out.append(rule)
        for service in _PRIVATE_ENDPOINTS:
            endpoint = aws.ec2.VpcEndpoint(
                f"{service.replace('.', '-')}-endpoint",
                vpc_id=self._vpc.id,
                service_name=f"com.amazonaws.{self._here.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in self._private.values()],
                security_group_ids=[group.id],
                opts=self._here.options(),
            )
            self._way_out.append(endpoint)


def _existing(here: Account) -> Network:
    """A VPC that somebody else owns; nothing in it is changed."""
    wanted = here.config.network
    private = [
        aws.ec2.get_subnet(id=name, opts=here.invoke())
        for name in wanted.private_subnet_ids
    ]
    public = [
        aws.ec2.get_subnet(id=name, opts=here.invoke())
        for name in wanted.public_subnet_ids
    ]
    internal = here.config.ingress.scheme == "internal"
    return Network(
        vpc_id=wanted.vpc_id,
        private={found.availability_zone: found.id for found in private},
        control_plane=[found.id for found in private],
        api_server=[found.cidr_block for found in private],
        load_balancers=[f.cidr_block for f in (private if internal else public)],
        inside=aws.ec2.get_vpc(id=wanted.vpc_id, opts=here.invoke()).cidr_block,
    )
