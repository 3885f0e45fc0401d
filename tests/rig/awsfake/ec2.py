"""Resource types of EC2's network.

moto deletes most resources even if others still use them. The double refuses this with
EC2's DependencyViolation, so that a wrong order of deletion is detected. The real
provider would retry for up to 20 min before it reports the error.
"""

import hashlib

from awsfake.kinds import Type
from awsfake.wire import (
    Refused,
    account,
    api,
    arn,
    call,
    camel,
    camel_name,
    changed,
    difference,
    exchange,
    first,
    pascal,
    tag_list,
    tags_of,
    where,
)

IN_USE = "DependencyViolation: {ident} has dependencies and cannot be deleted: {what}"


def ec2():
    return api("ec2")


def retag(ident, old, new):
    """Change the tags of an EC2 resource from those of OLD to those of NEW."""
    gone, put = difference(old.get("tags"), new.get("tags"))
    if gone:
        ec2().delete_tags(Resources=[ident], Tags=[{"Key": key} for key in gone])
    if put:
        ec2().create_tags(Resources=[ident], Tags=tag_list(put))


def refuse_while(ident, what, key):
    """Refuse to delete IDENT unless WHAT (descriptions with the ID at KEY) is empty."""
    if what:
        names = ", ".join(item[key] for item in what)
        raise Refused(IN_USE.format(ident=ident, what=names))


def interfaces(**filters):
    return ec2().describe_network_interfaces(Filters=where(**filters))[
        "NetworkInterfaces"
    ]


def nat_gateways(vpc):
    """Return the NAT gateways of a VPC; EC2 describes deleted ones, too."""
    found = ec2().describe_nat_gateways(Filters=where(vpc_id=vpc))["NatGateways"]
    return [nat for nat in found if nat["State"] != "deleted"]


class Ec2(Type):
    """A type that EC2 creates, describes and deletes with calls named after it."""

    noun = ""  # as in CreateInternetGateway
    tagged = ""  # as in TagSpecifications: internet-gateway
    renames = {}  # inputs with another name in the API
    read = ()  # outputs with the same name in the API

    @property
    def snake(self):
        return self.tagged.replace("-", "_")

    def create(self, inputs):
        made = call(
            "ec2", f"Create{self.noun}", inputs, self.renames, **self.tags(inputs)
        )
        return made[self.noun][f"{self.noun}Id"]

    def tags(self, inputs):
        listed = tag_list(inputs.get("tags"))
        if not listed:
            return {}
        return {"TagSpecifications": [{"ResourceType": self.tagged, "Tags": listed}]}

    def settle(self, ident, old, new):
        if old:
            retag(ident, old, new)

    def describe(self, ident):
        answer = getattr(ec2(), f"describe_{self.snake}s")(
            **{f"{self.noun}Ids": [ident]}
        )
        return first(answer[f"{self.noun}s"], ident)

    def outputs(self, ident, inputs):
        live = self.describe(ident)
        return {
            "arn": arn("ec2", f"{self.tagged}/{ident}"),
            "ownerId": live.get("OwnerId") or account(),
            "tagsAll": tags_of(live),
            **{name: live[pascal(name)] for name in self.read if pascal(name) in live},
            **self.more(ident, live),
        }

    def more(self, ident, live):
        """Return further outputs, from the description LIVE."""
        return {}

    def delete(self, ident, state):
        getattr(ec2(), f"delete_{self.snake}")(**{f"{self.noun}Id": ident})


class Vpc(Ec2):
    noun, tagged, read = "Vpc", "vpc", ("cidrBlock",)
    replace = ("cidrBlock", "ipv4IpamPoolId", "ipv4NetmaskLength")
    attributes = {"enableDnsSupport": True, "enableDnsHostnames": False}

    def settle(self, ident, old, new):
        super().settle(ident, old, new)
        for name, default in self.attributes.items():
            if old.get(name, default) != new.get(name, default):
                value = {pascal(name): {"Value": new.get(name, default)}}
                ec2().modify_vpc_attribute(VpcId=ident, **value)

    def more(self, ident, live):
        filters = where(vpc_id=ident, group_name="default")
        groups = ec2().describe_security_groups(Filters=filters)
        tables = ec2().describe_route_tables(
            Filters=[*where(vpc_id=ident), *where(**{"association.main": "true"})]
        )["RouteTables"]
        table = tables[0]["RouteTableId"] if tables else ""
        return {
            "defaultSecurityGroupId": first(groups["SecurityGroups"], ident)["GroupId"],
            "mainRouteTableId": table,
            "defaultRouteTableId": table,
            **{name: self.attribute(ident, name) for name in self.attributes},
        }

    @staticmethod
    def attribute(ident, name):
        answer = ec2().describe_vpc_attribute(VpcId=ident, Attribute=name)
        return answer[pascal(name)]["Value"]

    def delete(self, ident, state):
        groups = ec2().describe_security_groups(Filters=where(vpc_id=ident))
        found = groups["SecurityGroups"]
        own = [group for group in found if group["GroupName"] != "default"]
        refuse_while(ident, own, "GroupId")
        filters = where(**{"attachment.vpc-id": ident})
        gateways = ec2().describe_internet_gateways(Filters=filters)
        refuse_while(ident, gateways["InternetGateways"], "InternetGatewayId")
        refuse_while(ident, endpoints(ident), "VpcEndpointId")
        super().delete(ident, state)


def endpoints(vpc):
    found = ec2().describe_vpc_endpoints(Filters=where(vpc_id=vpc))["VpcEndpoints"]
    return [endpoint for endpoint in found if endpoint["State"] != "deleted"]


class Subnet(Ec2):
    noun, tagged = "Subnet", "subnet"
    read = (
        "availabilityZone",
        "availabilityZoneId",
        "cidrBlock",
        "mapPublicIpOnLaunch",
        "vpcId",
    )
    replace = ("vpcId", "cidrBlock", "availabilityZone", "availabilityZoneId")

    def settle(self, ident, old, new):
        super().settle(ident, old, new)
        public = bool(new.get("mapPublicIpOnLaunch"))
        if bool(old.get("mapPublicIpOnLaunch")) != public:
            value = {"MapPublicIpOnLaunch": {"Value": public}}
            ec2().modify_subnet_attribute(SubnetId=ident, **value)

    def delete(self, ident, state):
        refuse_while(ident, interfaces(subnet_id=ident), "NetworkInterfaceId")
        super().delete(ident, state)


class InternetGateway(Ec2):
    noun, tagged = "InternetGateway", "internet-gateway"

    def settle(self, ident, old, new):
        super().settle(ident, old, new)
        if changed(old, new, "vpcId"):
            if old.get("vpcId"):
                self.detach(ident, old["vpcId"])
            if new.get("vpcId"):
                vpc = new["vpcId"]
                ec2().attach_internet_gateway(InternetGatewayId=ident, VpcId=vpc)

    @staticmethod
    def detach(ident, vpc):
        nats = nat_gateways(vpc)
        public = [nat for nat in nats if nat["ConnectivityType"] == "public"]
        refuse_while(f"{ident} (mapped public addresses)", public, "NatGatewayId")
        ec2().detach_internet_gateway(InternetGatewayId=ident, VpcId=vpc)

    def more(self, ident, live):
        attached = live.get("Attachments") or [{}]
        return {"vpcId": attached[0].get("VpcId", "")}

    def delete(self, ident, state):
        if vpc := self.more(ident, self.describe(ident))["vpcId"]:
            self.detach(ident, vpc)
        super().delete(ident, state)


class Eip(Ec2):
    noun, tagged = "Address", "elastic-ip"
    read = ("allocationId", "associationId", "domain", "publicIp")
    replace = ("address", "domain", "networkBorderGroup", "publicIpv4Pool")
    refused = ("instance", "networkInterface", "associateWithPrivateIp")

    def create(self, inputs):
        made = call("ec2", "AllocateAddress", inputs, **self.tags(inputs))
        return made["AllocationId"]

    def describe(self, ident):
        return first(
            ec2().describe_addresses(AllocationIds=[ident])["Addresses"], ident
        )

    def delete(self, ident, state):
        if used := self.describe(ident).get("AssociationId"):
            raise Refused(f"InvalidIPAddress.InUse: {ident} is in use: {used}")
        ec2().release_address(AllocationId=ident)


class NatGateway(Ec2):
    """A NAT gateway, whose network interface and address moto does not release."""

    noun, tagged, read = "NatGateway", "natgateway", ("connectivityType", "subnetId")
    snake = "nat_gateway"
    replace = (
        "allocationId",
        "connectivityType",
        "privateIp",
        "subnetId",
        "vpcId",
        "availabilityMode",
    )
    refused = (
        "availabilityMode",
        "availabilityZoneAddresses",
        "secondaryAllocationIds",
    )

    def describe(self, ident):
        live = super().describe(ident)
        return first([live] if live["State"] != "deleted" else [], ident)

    def more(self, ident, live):
        address = (live.get("NatGatewayAddresses") or [{}])[0]
        return {
            "allocationId": address.get("AllocationId", ""),
            "networkInterfaceId": address.get("NetworkInterfaceId", ""),
            "privateIp": address.get("PrivateIp", ""),
            "publicIp": address.get("PublicIp", ""),
        }

    def delete(self, ident, state):
        address = self.describe(ident)["NatGatewayAddresses"][0]
        super().delete(ident, state)
        for taken in ec2().describe_addresses()["Addresses"]:
            if taken.get("NetworkInterfaceId") == address["NetworkInterfaceId"]:
                ec2().disassociate_address(AssociationId=taken["AssociationId"])
        ec2().delete_network_interface(NetworkInterfaceId=address["NetworkInterfaceId"])


class RouteTable(Ec2):
    noun, tagged, read = "RouteTable", "route-table", ("vpcId",)
    replace, refused = ("vpcId",), ("routes", "propagatingVgws")


class Route(Type):
    places = (
        "destinationCidrBlock",
        "destinationIpv6CidrBlock",
        "destinationPrefixListId",
    )
    replace = ("routeTableId", *places)

    def create(self, inputs):
        call("ec2", "CreateRoute", inputs)
        place = hashlib.sha256(self.place(inputs)[1].encode()).hexdigest()[:10]
        return f"r-{inputs['routeTableId']}{place}"

    def place(self, inputs):
        """Return the destination's name in the API, and its value."""
        return next(
            (pascal(name), inputs[name]) for name in self.places if inputs.get(name)
        )

    def settle(self, ident, old, new):
        if old:
            call("ec2", "ReplaceRoute", new)

    def outputs(self, ident, inputs):
        tables = ec2().describe_route_tables(RouteTableIds=[inputs["routeTableId"]])
        name, place = self.place(inputs)
        routes = first(tables["RouteTables"], ident)["Routes"]
        live = first([route for route in routes if route.get(name) == place], ident)
        target = {key: live[pascal(key)] for key in inputs if live.get(pascal(key))}
        return {
            **target,
            "origin": live.get("Origin", ""),
            "state": live.get("State", ""),
        }

    def delete(self, ident, state):
        call("ec2", "DeleteRoute", state)


class RouteTableAssociation(Type):
    """An association that is found by its subnet or gateway.

    The API gives it another ID when its route table changes.
    """

    replace = ("subnetId", "gatewayId")

    def create(self, inputs):
        return call("ec2", "AssociateRouteTable", inputs)["AssociationId"]

    def settle(self, ident, old, new):
        if old:
            ec2().replace_route_table_association(
                AssociationId=self.live(ident, old)["RouteTableAssociationId"],
                RouteTableId=new["routeTableId"],
            )

    @staticmethod
    def live(ident, inputs):
        tables = ec2().describe_route_tables()["RouteTables"]
        found = [
            association
            for table in tables
            for association in table["Associations"]
            for key in ("SubnetId", "GatewayId")
            if association.get(key) and association[key] == inputs.get(camel_name(key))
        ]
        return first(found, ident)

    def outputs(self, ident, inputs):
        return {"routeTableId": self.live(ident, inputs)["RouteTableId"]}

    def delete(self, ident, state):
        ec2().disassociate_route_table(
            AssociationId=self.live(ident, state)["RouteTableAssociationId"]
        )


class VpcEndpoint(Ec2):
    noun, tagged, renames = "VpcEndpoint", "vpc-endpoint", {"policy": "PolicyDocument"}
    read = (
        "serviceName",
        "state",
        "vpcEndpointType",
        "vpcId",
        "routeTableIds",
        "subnetIds",
    )
    replace = ("vpcId", "serviceName", "vpcEndpointType")
    lists = ("routeTableIds", "subnetIds", "securityGroupIds")

    def settle(self, ident, old, new):
        super().settle(ident, old, new)
        if not old:
            return
        change = {}
        for name in self.lists:
            gone, come = exchange(old, new, name)
            change |= {f"Remove{pascal(name)}": gone} if gone else {}
            change |= {f"Add{pascal(name)}": come} if come else {}
        if changed(old, new, "policy") and new.get("policy"):
            change["PolicyDocument"] = new["policy"]
        if change:
            ec2().modify_vpc_endpoint(VpcEndpointId=ident, **change)

    def describe(self, ident):
        live = super().describe(ident)
        return first([live] if live["State"] != "deleted" else [], ident)

    def more(self, ident, live):
        return {
            "dnsEntries": camel(live.get("DnsEntries") or []),
            "networkInterfaceIds": live.get("NetworkInterfaceIds") or [],
        }

    def delete(self, ident, state):
        ec2().delete_vpc_endpoints(VpcEndpointIds=[ident])
