"""The VPC: subnets by zone, internet access and endpoints.

The control plane depends only on subnets and private routes; nodes also depend on
internet access. A resource is deleted after its dependents, so internet access outlives
the nodes, which need it to drain, and the controllers, which need it to clean up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi_aws as aws

from raylift.infra.aws.subnets import ZoneBlocks, share_out

if TYPE_CHECKING:
    import pulumi

    from raylift.infra.aws.account import Account

_PRIVATE_ENDPOINTS = (
    "autoscaling", "ec2", "ecr.api", "ecr.dkr", "eks", "eks-auth",
    "elasticloadbalancing", "logs", "ssm", "sts",
)  # fmt: skip
_ANYWHERE = "0.0.0.0/0"


@dataclass(frozen=True, slots=True)
class Network:
    """The parts of a VPC that the cluster uses.

    `private` maps zones to the IDs of the subnets of nodes; `control_plane` contains
    those of the control plane. `api_server`, `load_balancers` and `inside` are the CIDR
    blocks of the control plane, of load balancers and of the VPC. The resources in
    `for_cluster` are created before the cluster, those in `for_nodes` before any node.
    """

    vpc_id: Any
    private: dict[str, Any]
    control_plane: list[Any]
    api_server: list[Any]
    load_balancers: list[Any]
    inside: str
    for_cluster: list[pulumi.Resource] = field(default_factory=list)
    for_nodes: list[pulumi.Resource] = field(default_factory=list)


def network(account: Account, zones: list[str]) -> Network:
    """Create a VPC for the stack, or look up the one in the stack file."""
    if account.config.network.vpc_id:
        return _existing(account)
    blocks = share_out(account.config.network.cidr_block, zones)
    vpc = aws.ec2.Vpc(
        "vpc",
        cidr_block=account.config.network.cidr_block,
        enable_dns_support=True,
        enable_dns_hostnames=True,
        tags={"Name": account.stack},
        opts=account.guarded(),
    )
    # The default security group, used by interfaces without one, allows no traffic.
    default = aws.ec2.DefaultSecurityGroup(
        "default-security-group",
        vpc_id=vpc.id,
        ingress=[],
        egress=[],
        opts=account.options(),
    )
    builder = _VpcBuilder(account, vpc, blocks)
    builder.endpoints()
    return builder.network(default)


class _VpcBuilder:
    """Subnets, routes and endpoints of a new VPC."""

    def __init__(
        self, account: Account, vpc: aws.ec2.Vpc, blocks: list[ZoneBlocks]
    ) -> None:
        self._account, self._vpc, self._blocks = account, vpc, blocks
        self._internet: list[pulumi.Resource] = []
        self._routed: list[pulumi.Resource] = []
        self._tables: list[aws.ec2.RouteTable] = []
        self._public = self._public_subnets()
        gateways = self._nat_gateways()
        self._private = self._subnets(
            "private", "private", "kubernetes.io/role/internal-elb"
        )
        self._control = self._subnets("control-plane", "control_plane", "")
        self._route_privately(gateways)

    def network(self, default: pulumi.Resource) -> Network:
        """Return the parts that the rest of the stack uses."""
        internal = self._account.config.ingress.scheme == "internal"
        return Network(
            vpc_id=self._vpc.id,
            private={zone: subnet.id for zone, subnet in self._private.items()},
            control_plane=[subnet.id for subnet in self._control.values()],
            api_server=[blocks.control_plane for blocks in self._blocks],
            load_balancers=[b.private if internal else b.public for b in self._blocks],
            inside=self._account.config.network.cidr_block,
            for_cluster=[*self._routed, default],
            for_nodes=self._internet,
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
                    "Name": f"{self._account.stack}-{name}-{blocks.zone}",
                    **({role: "1"} if role else {}),
                },
                # Controllers add tags to the subnets that they use.
                opts=self._account.options(ignore_changes=["tags"]),
            )
            for blocks in self._blocks
        }

    def _public_subnets(self) -> dict[str, aws.ec2.Subnet]:
        """Create subnets with an internet gateway, for NAT and load balancers."""
        if self._is_private():
            return {}
        subnets = self._subnets("public", "public", "kubernetes.io/role/elb")
        gateway = aws.ec2.InternetGateway(
            "internet-gateway", vpc_id=self._vpc.id, opts=self._account.options()
        )
        table = self._table("public")
        route = aws.ec2.Route(
            "public-internet",
            route_table_id=table.id,
            destination_cidr_block=_ANYWHERE,
            gateway_id=gateway.id,
            opts=self._account.options(),
        )
        associations = [
            self._associate(f"public-{zone}", table, subnet)
            for zone, subnet in subnets.items()
        ]
        self._internet += [gateway, route, *associations]
        return subnets

    def _is_private(self) -> bool:
        ingress = self._account.config.ingress
        is_public = ingress.type == "alb" and ingress.scheme == "internet-facing"
        return self._account.config.network.nat_gateway == "none" and not is_public

    def _nat_gateways(self) -> dict[str, aws.ec2.NatGateway]:
        """Create one NAT gateway, or one per zone, to survive the loss of a zone."""
        kind = self._account.config.network.nat_gateway
        zones = list(self._public) if kind == "perAz" else list(self._public)[:1]
        return {} if kind == "none" else {zone: self._nat(zone) for zone in zones}

    def _nat(self, zone: str) -> aws.ec2.NatGateway:
        address = aws.ec2.Eip(f"nat-{zone}", domain="vpc", opts=self._account.options())
        return aws.ec2.NatGateway(
            f"nat-{zone}",
            allocation_id=address.id,
            subnet_id=self._public[zone].id,
            tags={"Name": f"{self._account.stack}-{zone}"},
            # The address can be released only while the internet gateway is attached.
            opts=self._account.options(depends_on=list(self._internet)),
        )

    def _route_privately(self, gateways: dict[str, aws.ec2.NatGateway]) -> None:
        """Create a route table for each NAT gateway, and one without any for EKS."""
        tables: dict[int, aws.ec2.RouteTable] = {}
        for zone, subnet in self._private.items():
            gateway = gateways.get(zone) or next(iter(gateways.values()), None)
            if id(gateway) not in tables:
                name = f"private-{zone}" if len(gateways) > 1 else "private"
                tables[id(gateway)] = self._table(name)
                if gateway is not None:
                    self._internet += [
                        gateway,
                        self._nat_route(name, tables[id(gateway)], gateway),
                    ]
            self._routed.append(
                self._associate(f"private-{zone}", tables[id(gateway)], subnet)
            )
        isolated = self._table("control-plane")
        for zone, subnet in self._control.items():
            self._routed.append(
                self._associate(f"control-plane-{zone}", isolated, subnet)
            )

    def _nat_route(
        self, name: str, table: aws.ec2.RouteTable, gateway: aws.ec2.NatGateway
    ) -> aws.ec2.Route:
        return aws.ec2.Route(
            f"{name}-nat",
            route_table_id=table.id,
            destination_cidr_block=_ANYWHERE,
            nat_gateway_id=gateway.id,
            opts=self._account.options(),
        )

    def _table(self, name: str) -> aws.ec2.RouteTable:
        table = aws.ec2.RouteTable(
            name,
            vpc_id=self._vpc.id,
            tags={"Name": f"{self._account.stack}-{name}"},
            opts=self._account.options(),
        )
        self._tables.append(table)
        return table

    def _associate(
        self, name: str, table: aws.ec2.RouteTable, subnet: aws.ec2.Subnet
    ) -> aws.ec2.RouteTableAssociation:
        return aws.ec2.RouteTableAssociation(
            name,
            route_table_id=table.id,
            subnet_id=subnet.id,
            opts=self._account.options(),
        )

    def endpoints(self) -> None:
        """Create endpoints for private access to AWS; the one for S3 is free."""
        kind = self._account.config.network.vpc_endpoints
        if kind == "none":
            return
        region = self._account.region
        s3 = aws.ec2.VpcEndpoint(
            "s3-endpoint",
            vpc_id=self._vpc.id,
            service_name=f"com.amazonaws.{region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=[table.id for table in self._tables],
            opts=self._account.options(),
        )
        self._internet.append(s3)
        if kind == "private":
            self._interfaces()

    def _interfaces(self) -> None:
        group = aws.ec2.SecurityGroup(
            "endpoints",
            vpc_id=self._vpc.id,
            description="AWS services inside the VPC",
            opts=self._account.options(),
        )
        rule = aws.vpc.SecurityGroupIngressRule(
            "endpoints-https",
            security_group_id=group.id,
            description="HTTPS from inside the VPC",
            ip_protocol="tcp",
            from_port=443,
            to_port=443,
            cidr_ipv4=self._account.config.network.cidr_block,
            opts=self._account.options(),
        )
        self._internet.append(rule)
        for service in _PRIVATE_ENDPOINTS:
            endpoint = aws.ec2.VpcEndpoint(
                f"{service.replace('.', '-')}-endpoint",
                vpc_id=self._vpc.id,
                service_name=f"com.amazonaws.{self._account.region}.{service}",
                vpc_endpoint_type="Interface",
                private_dns_enabled=True,
                subnet_ids=[subnet.id for subnet in self._private.values()],
                security_group_ids=[group.id],
                opts=self._account.options(),
            )
            self._internet.append(endpoint)


def _existing(account: Account) -> Network:
    """Look up a VPC that the stack does not own, without changing it."""
    config = account.config.network
    call, subnet = account.call, aws.ec2.get_subnet
    private = [call(subnet, id=name) for name in config.private_subnet_ids]
    public = [call(subnet, id=name) for name in config.public_subnet_ids]
    internal = account.config.ingress.scheme == "internal"
    return Network(
        vpc_id=config.vpc_id,
        private={each.availability_zone: each.id for each in private},
        control_plane=[each.id for each in private],
        api_server=[each.cidr_block for each in private],
        load_balancers=[each.cidr_block for each in (private if internal else public)],
        inside=call(aws.ec2.get_vpc, id=config.vpc_id).cidr_block,
    )
