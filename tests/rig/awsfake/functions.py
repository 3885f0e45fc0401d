"""The functions (data sources) of the double, which map arguments to results."""

from awsfake.versions import ADDONS, CLUSTERS, DEFAULT
from awsfake.wire import api, first, region, tags_of


def filters(args, **names):
    """Return EC2's filters from `filters`, `tags` and the NAMES that are in ARGS."""
    asked = [
        {"Name": each["name"], "Values": each["values"]}
        for each in args.get("filters") or []
    ]
    for name, filter_ in names.items():
        if args.get(name) is not None:
            value = str(args[name])
            value = value.lower() if isinstance(args[name], bool) else value
            asked.append({"Name": filter_, "Values": [value]})
    for key, value in (args.get("tags") or {}).items():
        asked.append({"Name": f"tag:{key}", "Values": [value]})
    return asked


def caller_identity(_):
    identity = api("sts").get_caller_identity()
    return {
        "accountId": identity["Account"],
        "arn": identity["Arn"],
        "userId": identity["UserId"],
        "id": identity["Account"],
    }


def region_(args):
    name = args.get("region") or args.get("name") or region()
    words = {"description": name, "endpoint": f"ec2.{name}.amazonaws.com"}
    return {"id": name, "name": name, "region": name, **words}


def partition(_):
    words = {"dnsSuffix": "amazonaws.com", "reverseDnsPrefix": "com.amazonaws"}
    return {"id": "aws", "partition": "aws", **words}


def availability_zones(args):
    found = api("ec2").describe_availability_zones(
        Filters=filters(args, state="state"),
        AllAvailabilityZones=bool(args.get("allAvailabilityZones")),
    )["AvailabilityZones"]
    left_out = [*args.get("excludeNames", []), *args.get("excludeZoneIds", [])]
    zones = sorted(
        (zone["ZoneName"], zone["ZoneId"])
        for zone in found
        if not {zone["ZoneName"], zone["ZoneId"]} & set(left_out)
    )
    return {
        "names": [name for name, _ in zones],
        "zoneIds": [ident for _, ident in zones],
        "groupNames": [region()],
        "id": region(),
        "region": region(),
    }


def instance_type_offerings(args):
    pages = api("ec2").get_paginator("describe_instance_type_offerings")
    kind = args.get("locationType") or "region"
    found = [
        offer
        for page in pages.paginate(LocationType=kind, Filters=filters(args))
        for offer in page["InstanceTypeOfferings"]
    ]
    return {
        "instanceTypes": [offer["InstanceType"] for offer in found],
        "locations": [offer["Location"] for offer in found],
        "locationTypes": [kind] * len(found),
        "id": region(),
        "region": region(),
    }


def vpc(args):
    names = {"default": "is-default", "cidrBlock": "cidr", "state": "state"}
    ids = {"VpcIds": [args["id"]]} if args.get("id") else {}
    found = api("ec2").describe_vpcs(Filters=filters(args, **names), **ids)["Vpcs"]
    live = one(found, "VPC")
    ident = live["VpcId"]
    return {
        "arn": f"arn:aws:ec2:{region()}:{live['OwnerId']}:vpc/{ident}",
        "cidrBlock": live["CidrBlock"],
        "cidrBlockAssociations": [
            {
                "associationId": each["AssociationId"],
                "cidrBlock": each["CidrBlock"],
                "state": each["CidrBlockState"]["State"],
            }
            for each in live["CidrBlockAssociationSet"]
        ],
        "default": live["IsDefault"],
        "enableDnsHostnames": attribute(ident, "EnableDnsHostnames"),
        "enableDnsSupport": attribute(ident, "EnableDnsSupport"),
        "id": ident,
        "ownerId": live["OwnerId"],
        "region": region(),
        "tags": tags_of(live),
    }


def attribute(ident, name):
    asked = name[:1].lower() + name[1:]
    return api("ec2").describe_vpc_attribute(VpcId=ident, Attribute=asked)[name][
        "Value"
    ]


def one(found, what):
    """Return the only item; like the real functions, refuse any other number."""
    if len(found) != 1:
        raise ValueError(f"{len(found)} matching EC2 {what}s found, not one")
    return found[0]


SUBNET_FILTERS = {
    "availabilityZone": "availability-zone",
    "cidrBlock": "cidr-block",
    "defaultForAz": "default-for-az",
    "state": "state",
    "vpcId": "vpc-id",
}


def subnet(args):
    ids = {"SubnetIds": [args["id"]]} if args.get("id") else {}
    asked = filters(args, **SUBNET_FILTERS)
    live = one(api("ec2").describe_subnets(Filters=asked, **ids)["Subnets"], "Subnet")
    return {
        "arn": live["SubnetArn"],
        "availabilityZone": live["AvailabilityZone"],
        "availabilityZoneId": live["AvailabilityZoneId"],
        "availableIpAddressCount": live["AvailableIpAddressCount"],
        "cidrBlock": live["CidrBlock"],
        "id": live["SubnetId"],
        "mapPublicIpOnLaunch": live["MapPublicIpOnLaunch"],
        "region": region(),
        "tags": tags_of(live),
        "vpcId": live["VpcId"],
    }


def subnets(args):
    found = api("ec2").describe_subnets(Filters=filters(args))["Subnets"]
    ids = sorted(each["SubnetId"] for each in found)
    return {
        "ids": ids,
        "id": region(),
        "region": region(),
        "tags": args.get("tags") or {},
    }


def load_balancer_zone(args):
    """Return a zone from a table, as the real provider does, for all regions."""
    kinds = {"application": "Z1H1FL5HABSF5", "network": "Z18D5FSROUN65G"}
    kind = args.get("loadBalancerType") or "application"
    return {"id": kinds[kind], "loadBalancerType": kind, "region": region()}


def addon_version(args):
    if args["addonName"] not in ADDONS:
        raise ValueError(f"no versions of EKS add-on {args['addonName']}")
    newest, usual = ADDONS[args["addonName"]]
    return {
        **args,
        "id": args["addonName"],
        "version": newest if args.get("mostRecent") else usual,
        "mostRecent": bool(args.get("mostRecent")),
        "region": region(),
    }


def cluster_versions(args):
    names = args.get("clusterVersionsOnlies") or CLUSTERS
    versions = [
        {
            "clusterType": "eks",
            "clusterVersion": version,
            "defaultPlatformVersion": "eks.1",
            "defaultVersion": version == DEFAULT,
            "endOfStandardSupportDate": f"{standard}T00:00:00Z",
            "endOfExtendedSupportDate": f"{extended}T00:00:00Z",
            "kubernetesPatchVersion": f"{version}.0",
            "releaseDate": "2026-01-01T00:00:00Z",
            "versionStatus": status,
        }
        for version, (status, standard, extended) in CLUSTERS.items()
        if version in names
        and args.get("versionStatus") in (None, status)
        and (version == DEFAULT or not args.get("defaultOnly"))
    ]
    return {**args, "clusterVersions": versions, "region": region()}


def zone(args):
    zones = api("route53").list_hosted_zones()["HostedZones"]
    found = [
        each
        for each in zones
        if args.get("zoneId") == each["Id"].rpartition("/")[2]
        or (args.get("name") or "?").rstrip(".") == each["Name"].rstrip(".")
    ]
    live = first(found, f"no matching Route 53 Hosted Zone: {args}")
    ident = live["Id"].rpartition("/")[2]
    servers = api("route53").get_hosted_zone(Id=ident).get("DelegationSet", {})
    return {
        "arn": f"arn:aws:route53:::hostedzone/{ident}",
        "id": ident,
        "name": live["Name"].rstrip("."),
        "nameServers": servers.get("NameServers", []),
        "primaryNameServer": (servers.get("NameServers") or [""])[0],
        "privateZone": live["Config"].get("PrivateZone", False),
        "zoneId": ident,
    }
