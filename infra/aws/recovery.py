"""Lookup of AWS resources whose creation was interrupted.

A resource is adopted only if it belongs to the stack. Either its name or ID is derived
from inputs that are unique to the stack (such as a name with a random suffix, or a
route table of the stack's VPC), or it has the `raylift:resource` tag of the stack.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, TypeAlias

from raylift.errors import PermissionDenied, Unreachable
from raylift.infra.aws.tags import RESOURCE_TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Inputs: TypeAlias = dict[str, Any]
    Session: TypeAlias = Any  # boto3 has no types
    Lookup: TypeAlias = Callable[[Session, Inputs], Iterable[str]]

# Types whose ID is derived from inputs; a refresh checks whether the resource exists.
_FORMATS = {
    "aws:ec2/placementGroup:PlacementGroup": "{name}",
    "aws:eks/accessEntry:AccessEntry": "{clusterName}:{principalArn}",
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": (
        "{clusterName}#{principalArn}#{policyArn}"
    ),
    "aws:eks/addon:Addon": "{clusterName}:{addonName}",
    "aws:elasticache/parameterGroup:ParameterGroup": "{name}",
    "aws:elasticache/replicationGroup:ReplicationGroup": "{replicationGroupId}",
    "aws:elasticache/subnetGroup:SubnetGroup": "{name}",
    "aws:iam/role:Role": "{name}",
    "aws:iam/rolePolicy:RolePolicy": "{role}:{name}",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "{role}/{policyArn}",
    "aws:s3/bucket:Bucket": "{bucket}",
}
# EC2 types that are looked up by tag: the plural in Describe…, and the key of the ID.
_EC2 = {
    "aws:ec2/eip:Eip": ("addresses", "AllocationId"),
    "aws:ec2/flowLog:FlowLog": ("flow_logs", "FlowLogId"),
    "aws:ec2/internetGateway:InternetGateway": (
        "internet_gateways",
        "InternetGatewayId",
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": ("launch_templates", "LaunchTemplateId"),
    "aws:ec2/natGateway:NatGateway": ("nat_gateways", "NatGatewayId"),
    "aws:ec2/routeTable:RouteTable": ("route_tables", "RouteTableId"),
    "aws:ec2/securityGroup:SecurityGroup": ("security_groups", "GroupId"),
    "aws:ec2/subnet:Subnet": ("subnets", "SubnetId"),
    "aws:ec2/vpc:Vpc": ("vpcs", "VpcId"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": ("vpc_endpoints", "VpcEndpointId"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": (
        "security_group_rules",
        "SecurityGroupRuleId",
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": (
        "security_group_rules",
        "SecurityGroupRuleId",
    ),
}
# EC2 lists NAT gateways and endpoints for up to an hour after their deletion.
_DELETED = ("deleting", "deleted", "failed")
_WAITERS = {
    "aws:eks/cluster:Cluster": ("eks", "cluster_active"),
    "aws:eks/nodeGroup:NodeGroup": ("eks", "nodegroup_active"),
    "aws:ec2/natGateway:NatGateway": ("ec2", "nat_gateway_available"),
    "aws:elasticache/replicationGroup:ReplicationGroup": (
        "elasticache",
        "replication_group_available",
    ),
}
_DENIED = ("AccessDenied", "Unauthorized", "ExpiredToken", "InvalidClientTokenId")


class AwsRecovery:
    """Lookups in the account and region of one provider of a stack's state."""

    def __init__(self, provider: dict[str, Any]) -> None:
        import boto3
        import botocore.exceptions

        inputs = provider["inputs"]
        try:
            self._session = boto3.Session(
                profile_name=inputs.get("profile"), region_name=inputs["region"]
            )
        except botocore.exceptions.ProfileNotFound as error:
            raise PermissionDenied(
                f"no AWS credentials: {error}",
                hint="set aws:profile to an existing profile",
            ) from None

    def find(self, kind: str, inputs: Inputs, known: set[str]) -> str | None:
        """Return the ID of the resource with these inputs, or None.

        An ID that is derived from inputs is returned even if the resource does not
        exist. IDs in `known` are skipped.

        Raises:
            PermissionDenied, Unreachable: AWS cannot be queried.
        """
        import botocore.exceptions

        try:
            return self._find(kind, inputs, known)
        except botocore.exceptions.ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code.startswith(_DENIED):
                raise PermissionDenied(f"cannot list AWS resources: {error}") from None
            return None  # each service has a different code for "not found"
        except botocore.exceptions.NoCredentialsError:
            raise PermissionDenied(
                "no AWS credentials", hint="run `aws configure` or `aws sso login`"
            ) from None
        except botocore.exceptions.BotoCoreError as error:
            raise Unreachable(f"cannot list AWS resources: {error}") from None

    def becomes_usable(self, kind: str, ident: str) -> bool:
        """Wait until AWS has created the resource; return False if creation failed."""
        import botocore.exceptions

        if kind not in _WAITERS:
            return True
        service, name = _WAITERS[kind]
        cluster, _, group = ident.partition(":")
        arguments: dict[str, dict[str, Any]] = {
            "cluster_active": {"name": ident},
            "nodegroup_active": {"clusterName": cluster, "nodegroupName": group},
            "nat_gateway_available": {"NatGatewayIds": [ident]},
            "replication_group_available": {"ReplicationGroupId": ident},
        }
        try:
            self._session.client(service).get_waiter(name).wait(**arguments[name])
        except botocore.exceptions.WaiterError:
            return False
        return True

    def _find(self, kind: str, inputs: Inputs, known: set[str]) -> str | None:
        if kind in _FORMATS:
            return _FORMATS[kind].format(**inputs)
        matches: Iterable[str] = ()
        if kind in _EC2:
            matches = _by_ec2_tag(self._session, kind, inputs)
        elif kind in _LOOKUPS:
            matches = _LOOKUPS[kind](self._session, inputs)
        return next((ident for ident in matches if ident not in known), None)


def _tag(inputs: Inputs) -> str:
    """Return the value of the resource's tag, which is unique."""
    return str(inputs["tags"][RESOURCE_TAG])


def _by_ec2_tag(session: Session, kind: str, inputs: Inputs) -> Iterable[str]:
    plural, key = _EC2[kind]
    tag = {"Key": RESOURCE_TAG, "Value": _tag(inputs)}
    filters = [{"Name": f"tag:{RESOURCE_TAG}", "Values": [tag["Value"]]}]
    parameter = "Filter" if plural == "flow_logs" else "Filters"
    describe = getattr(session.client("ec2"), f"describe_{plural}")
    for item in describe(**{parameter: filters})[plural.title().replace("_", "")]:
        is_deleted = item.get("State", "").lower() in _DELETED
        if tag in item.get("Tags", ()) and not is_deleted:
            yield item[key]


def _cluster(session: Session, inputs: Inputs) -> Iterable[str]:
    """Find a cluster by its name and its role, whose name is unique."""
    response = session.client("eks").describe_cluster(name=inputs["name"])
    if response["cluster"]["roleArn"] == inputs["roleArn"]:
        yield inputs["name"]


def _node_groups(session: Session, inputs: Inputs) -> Iterable[str]:
    cluster, prefix = inputs["clusterName"], inputs["nodeGroupNamePrefix"]
    eks = session.client("eks")
    for name in eks.list_nodegroups(clusterName=cluster)["nodegroups"]:
        digits = name.removeprefix(prefix)
        if name.startswith(prefix) and digits.isdigit():
            yield f"{cluster}:{name}"


def _pod_identities(session: Session, inputs: Inputs) -> Iterable[str]:
    response = session.client("eks").list_pod_identity_associations(
        clusterName=inputs["clusterName"],
        namespace=inputs["namespace"],
        serviceAccount=inputs["serviceAccount"],
    )
    yield from (each["associationId"] for each in response["associations"])


def _log_group(session: Session, inputs: Inputs) -> Iterable[str]:
    tags = session.client("logs").list_tags_log_group(logGroupName=inputs["name"])
    if tags["tags"].get(RESOURCE_TAG) == _tag(inputs):
        yield inputs["name"]


def _route(session: Session, inputs: Inputs) -> Iterable[str]:
    """Find a route and format its ID as the Terraform provider for AWS does."""
    table, destination = inputs["routeTableId"], inputs["destinationCidrBlock"]
    for route in _route_table(session, table)["Routes"]:
        if route.get("DestinationCidrBlock") == destination:
            yield f"r-{table}{zlib.crc32(destination.encode())}"


def _association(session: Session, inputs: Inputs) -> Iterable[str]:
    for association in _route_table(session, inputs["routeTableId"])["Associations"]:
        if association.get("SubnetId") == inputs["subnetId"]:
            yield association["RouteTableAssociationId"]


def _route_table(session: Session, ident: str) -> dict[str, Any]:
    response = session.client("ec2").describe_route_tables(RouteTableIds=[ident])
    table: dict[str, Any] = response["RouteTables"][0]
    return table


def _record(session: Session, inputs: Inputs) -> Iterable[str]:
    """Find a record with the name, type and value of the inputs.

    The user owns the zone, so a record with a different value belongs to somebody else.
    """
    zone, name, kind = inputs["zoneId"], inputs["name"], inputs["type"]
    response = session.client("route53").list_resource_record_sets(
        HostedZoneId=zone, StartRecordName=name, StartRecordType=kind, MaxItems="1"
    )
    targets = [alias["name"] for alias in inputs.get("aliases", ())]
    for record in response["ResourceRecordSets"]:
        key = (record["Name"].rstrip("."), record["Type"])
        values = [each["Value"] for each in record.get("ResourceRecords", ())]
        target = record.get("AliasTarget", {}).get("DNSName", "").rstrip(".")
        is_same = values == inputs.get("records") or target in targets
        if key == (name.rstrip("."), kind) and is_same:
            yield f"{zone}_{name}_{kind}"


def _key(session: Session, inputs: Inputs) -> Iterable[str]:
    """Find a KMS key by its tag. A key that is pending deletion keeps its tags."""
    kms, tagging = (session.client(n) for n in ("kms", "resourcegroupstaggingapi"))
    response = tagging.get_resources(
        ResourceTypeFilters=["kms:key"],
        TagFilters=[{"Key": RESOURCE_TAG, "Values": [_tag(inputs)]}],
    )
    for resource in response["ResourceTagMappingList"]:
        ident = resource["ResourceARN"].rpartition("/")[2]
        if kms.describe_key(KeyId=ident)["KeyMetadata"]["KeyState"] == "Enabled":
            yield ident


def _alias(session: Session, inputs: Inputs) -> Iterable[str]:
    response = session.client("kms").list_aliases(KeyId=inputs["targetKeyId"])
    yield from (each["AliasName"] for each in response["Aliases"])


def _certificate(session: Session, inputs: Inputs) -> Iterable[str]:
    """Find a certificate by its domain and tag; ACM cannot filter by tag."""
    acm = session.client("acm")
    tag = {"Key": RESOURCE_TAG, "Value": _tag(inputs)}
    for page in acm.get_paginator("list_certificates").paginate():
        for summary in page["CertificateSummaryList"]:
            arn = summary["CertificateArn"]
            if summary["DomainName"] == inputs["domainName"]:
                tags = acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]
                if tag in tags:
                    yield arn


def _budget(session: Session, inputs: Inputs) -> Iterable[str]:
    account = session.client("sts").get_caller_identity()["Account"]
    yield f"{account}:{inputs['name']}"


_LOOKUPS: dict[str, Lookup] = {
    "aws:acm/certificate:Certificate": _certificate,
    "aws:budgets/budget:Budget": _budget,
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:ec2/route:Route": _route,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _association,
    "aws:eks/cluster:Cluster": _cluster,
    "aws:eks/nodeGroup:NodeGroup": _node_groups,
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": _pod_identities,
    "aws:kms/alias:Alias": _alias,
    "aws:kms/key:Key": _key,
    "aws:route53/record:Record": _record,
}
