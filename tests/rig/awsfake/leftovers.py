"""The resources in a moto server that an empty account does not have.

A test that ends with `assert leftovers() == []` verifies that `destroy` deleted all
resources. These do not count: the default VPC with its resources, keys with a scheduled
deletion (AWS keeps them for days), terminated instances, AWS's policies and roles.
"""

from awsfake import records
from awsfake.wire import account, api


def leftovers():
    """Return the remaining resources as sorted lines "kind ID"."""
    return sorted(f"{what} {ident}" for what, scan in SCANS.items() for ident in scan())


def listed(service, operation, path, key=None):
    """Return a scan: the items, or their KEYs, at PATH in OPERATION's response."""

    def scan():
        client = api(service)
        pages = [getattr(client, operation)()]
        if client.can_paginate(operation):
            pages = client.get_paginator(operation).paginate()
        for page in pages:
            yield from (item[key] if key else item for item in page[path])

    return scan


def ec2(operation, path, key, *, gone=()):
    """Return a scan like `listed`, without the default VPC and the states in GONE."""

    def scan():
        default = vpcs(default="true")
        for item in getattr(api("ec2"), operation)()[path]:
            state = item.get("State") or ""
            state = state if isinstance(state, str) else state["Name"]
            if item.get("VpcId") not in default and state not in gone:
                yield item[key]

    return scan


def vpcs(default):
    filters = [{"Name": "is-default", "Values": [default]}]
    return [vpc["VpcId"] for vpc in api("ec2").describe_vpcs(Filters=filters)["Vpcs"]]


def instances():
    for reservation in api("ec2").describe_instances()["Reservations"]:
        for instance in reservation["Instances"]:
            if instance["State"]["Name"] != "terminated":
                yield instance["InstanceId"]


def node_groups():
    eks = api("eks")
    for cluster in eks.list_clusters()["clusters"]:
        for group in eks.list_nodegroups(clusterName=cluster)["nodegroups"]:
            yield f"{cluster}:{group}"


def roles():
    for role in api("iam").list_roles()["Roles"]:
        if not role["Path"].startswith("/aws-service-role/"):
            yield role["RoleName"]


def policies():
    for page in api("iam").get_paginator("list_policies").paginate(Scope="Local"):
        yield from (policy["Arn"] for policy in page["Policies"])


def keys():
    """Yield the keys that AWS did not create; its keys have aliases alias/aws/…."""
    kms, found = api("kms"), api("kms").list_aliases()["Aliases"]
    own = [alias["TargetKeyId"] for alias in found if is_aws(alias["AliasName"])]
    for key in kms.list_keys()["Keys"]:
        state = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"]
        if state != "PendingDeletion" and key["KeyId"] not in own:
            yield key["KeyId"]


def aliases():
    found = api("kms").list_aliases()["Aliases"]
    yield from (a["AliasName"] for a in found if not is_aws(a["AliasName"]))


def is_aws(alias):
    return alias.startswith("alias/aws/")


def caches():
    found = api("elasticache").describe_replication_groups()["ReplicationGroups"]
    yield from (g["ReplicationGroupId"] for g in found if g["Status"] != "deleting")


def dns_records():
    """Yield the records of all zones, except the NS and SOA that every zone has."""
    dns = api("route53")
    for zone in dns.list_hosted_zones()["HostedZones"]:
        found = dns.list_resource_record_sets(HostedZoneId=zone["Id"])
        for record in found["ResourceRecordSets"]:
            if record["Type"] not in ("NS", "SOA"):
                yield f"{record['Name']} {record['Type']}"


def budgets():
    found = api("budgets").describe_budgets(AccountId=account())["Budgets"]
    yield from (budget["BudgetName"] for budget in found)


def of_the_double():
    yield from (f"{kind} {record['id']}" for kind, record in records.every())


SCANS = {
    "VPC": lambda: vpcs(default="false"),
    "subnet": ec2("describe_subnets", "Subnets", "SubnetId"),
    "network interface": ec2(
        "describe_network_interfaces", "NetworkInterfaces", "NetworkInterfaceId"
    ),
    "NAT gateway": ec2(
        "describe_nat_gateways", "NatGateways", "NatGatewayId", gone=("deleted",)
    ),
    "address": ec2("describe_addresses", "Addresses", "AllocationId"),
    "internet gateway": ec2(
        "describe_internet_gateways", "InternetGateways", "InternetGatewayId"
    ),
    "route table": ec2("describe_route_tables", "RouteTables", "RouteTableId"),
    "VPC endpoint": ec2(
        "describe_vpc_endpoints", "VpcEndpoints", "VpcEndpointId", gone=("deleted",)
    ),
    "security group": ec2("describe_security_groups", "SecurityGroups", "GroupId"),
    "launch template": ec2(
        "describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"
    ),
    "flow log": ec2("describe_flow_logs", "FlowLogs", "FlowLogId"),
    "volume": ec2("describe_volumes", "Volumes", "VolumeId"),
    "instance": instances,
    "Auto Scaling group": listed(
        "autoscaling",
        "describe_auto_scaling_groups",
        "AutoScalingGroups",
        "AutoScalingGroupName",
    ),
    "EKS cluster": listed("eks", "list_clusters", "clusters"),
    "EKS node group": node_groups,
    "role": roles,
    "policy": policies,
    "key": keys,
    "alias": aliases,
    "log group": listed("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "bucket": listed("s3", "list_buckets", "Buckets", "Name"),
    "replication group": caches,
    "load balancer": listed(
        "elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"
    ),
    "target group": listed(
        "elbv2", "describe_target_groups", "TargetGroups", "TargetGroupArn"
    ),
    "certificate": listed(
        "acm", "list_certificates", "CertificateSummaryList", "CertificateArn"
    ),
    "DNS record": dns_records,
    "budget": budgets,
    "record of the double": of_the_double,
}
