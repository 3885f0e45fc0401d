"""What a killed run had begun to make in AWS: the ID that no state knows.

Everything has a name or a place of its own: a suffix that Pulumi chose, or the VPC,
table or cluster of the stack that it is in. What has neither must carry the stack's tag
and be in nobody's use, as another may have given a stack the same name.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

from infra.aws.account import STACK_TAG
from raylift.errors import Denied, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# Types whose ID is made of inputs; whether it exists, a refresh says.
_NAMED = {
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


class _Ec2(NamedTuple):
    """How EC2 lists a type: its call, filters by inputs, where the ID stands."""

    call: str
    filters: dict[str, str]
    path: str
    ident: str
    unused: Callable[[Any, dict[str, Any], dict[str, Any]], bool] = lambda *_: True


def _is_empty(ec2: Any, vpc: dict[str, Any], _: dict[str, Any]) -> bool:  # noqa: ANN401 boto3's
    filters = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    return not ec2.describe_subnets(Filters=filters)["Subnets"]


def _is_free(_: Any, gateway: dict[str, Any], inputs: dict[str, Any]) -> bool:  # noqa: ANN401 boto3's
    vpcs = {attached["VpcId"] for attached in gateway["Attachments"]}
    return vpcs <= {inputs["vpcId"]}


_EC2 = {
    "aws:ec2/vpc:Vpc": _Ec2(
        "vpcs", {"cidr-block": "cidrBlock"}, "Vpcs", "VpcId", _is_empty
    ),
    "aws:ec2/eip:Eip": _Ec2(
        "addresses",
        {},
        "Addresses",
        "AllocationId",
        lambda _, address, __: "AssociationId" not in address,
    ),
    "aws:ec2/internetGateway:InternetGateway": _Ec2(
        "internet_gateways", {}, "InternetGateways", "InternetGatewayId", _is_free
    ),
    "aws:ec2/subnet:Subnet": _Ec2(
        "subnets",
        {"vpc-id": "vpcId", "cidr-block": "cidrBlock"},
        "Subnets",
        "SubnetId",
    ),
    "aws:ec2/routeTable:RouteTable": _Ec2(
        "route_tables",
        {"vpc-id": "vpcId", "tag:Name": "tags.Name"},
        "RouteTables",
        "RouteTableId",
    ),
    "aws:ec2/natGateway:NatGateway": _Ec2(
        "nat_gateways",
        {"subnet-id": "subnetId"},
        "NatGateways",
        "NatGatewayId",
        lambda _, nat, __: nat["State"] in ("pending", "available"),
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _Ec2(
        "vpc_endpoints",
        {"vpc-id": "vpcId", "service-name": "serviceName"},
        "VpcEndpoints",
        "VpcEndpointId",
    ),
    "aws:ec2/securityGroup:SecurityGroup": _Ec2(
        "security_groups",
        {"vpc-id": "vpcId", "group-name": "name"},
        "SecurityGroups",
        "GroupId",
    ),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _Ec2(
        "security_group_rules",
        {"group-id": "securityGroupId"},
        "SecurityGroupRules",
        "SecurityGroupRuleId",
        lambda _, rule, __: not rule["IsEgress"],
    ),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _Ec2(
        "security_group_rules",
        {"group-id": "securityGroupId"},
        "SecurityGroupRules",
        "SecurityGroupRuleId",
        lambda _, rule, __: rule["IsEgress"],
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": _Ec2(
        "launch_templates",
        {"launch-template-name": "name"},
        "LaunchTemplates",
        "LaunchTemplateId",
    ),
}
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


class BegunInAws:
    """Looks for things of one stack, as its provider in the state would."""

    def __init__(self, stack: str, provider: dict[str, Any]) -> None:
        import boto3
        import botocore.exceptions

        inputs = provider["inputs"]
        self._stack = stack
        try:
            self._session = boto3.Session(
                profile_name=inputs.get("profile"), region_name=inputs["region"]
            )
        except botocore.exceptions.ProfileNotFound as error:
            raise Denied(f"no AWS credentials: {error}", hint="aws configure") from None

    def find(self, kind: str, inputs: dict[str, Any], known: set[str]) -> str | None:
        """The ID of what was to be made of these inputs, if it may be there.

        Raises:
            Denied, Unreachable: AWS does not say.
        """
        import botocore.exceptions

        try:
            return self._find(kind, inputs, known)
        except botocore.exceptions.ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code.startswith(_DENIED):
                raise Denied(f"AWS does not say what there is: {error}") from None
            return None  # AWS has many words for what is not there
        except botocore.exceptions.NoCredentialsError:
            raise Denied(
                "no AWS credentials", hint="aws configure, or aws sso login"
            ) from None
        except botocore.exceptions.BotoCoreError as error:
            raise Unreachable(f"AWS does not say what there is: {error}") from None

    def becomes_usable(self, kind: str, ident: str) -> bool:
        """Wait until AWS has made it; False where AWS failed to."""
        import botocore.exceptions

        if kind not in _WAITERS:
            return True
        service, name = _WAITERS[kind]
        cluster, _, group = ident.partition(":")
        names: dict[str, dict[str, Any]] = {
            "cluster_active": {"name": ident},
            "nodegroup_active": {"clusterName": cluster, "nodegroupName": group},
            "nat_gateway_available": {"NatGatewayIds": [ident]},
            "replication_group_available": {"ReplicationGroupId": ident},
        }
        try:
            self._session.client(service).get_waiter(name).wait(**names[name])
        except botocore.exceptions.WaiterError:
            return False
        return True

    def _find(self, kind: str, inputs: dict[str, Any], known: set[str]) -> str | None:
        if kind in _NAMED:
            return _NAMED[kind].format(**inputs)
        found: Iterable[str] = ()
        if kind in _EC2:
            found = _in_ec2(self._session, self._stack, _EC2[kind], inputs)
        elif kind in _OTHERS:
            found = _OTHERS[kind](self._session, self._stack, inputs)
        return next((ident for ident in found if ident not in known), None)


def _in_ec2(
    session: Any,  # noqa: ANN401 boto3's, here and below
    stack: str,
    how: _Ec2,
    inputs: dict[str, Any],
) -> Iterable[str]:
    ec2 = session.client("ec2")
    wanted: dict[str, Any] = {f"tag:{STACK_TAG}": stack}
    for name, key in how.filters.items():
        value: Any = inputs
        for part in key.split("."):
            value = value[part]
        wanted[name] = value
    filters = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
    answer = getattr(ec2, f"describe_{how.call}")(Filters=filters)
    return [
        item[how.ident] for item in answer[how.path] if how.unused(ec2, item, inputs)
    ]


def _cluster(session: Any, _: str, inputs: dict[str, Any]) -> Iterable[str]:  # noqa: ANN401
    """Ours has our role, whose name is nobody else's."""
    found = session.client("eks").describe_cluster(name=inputs["name"])
    if found["cluster"]["roleArn"] == inputs["roleArn"]:
        yield inputs["name"]


def _node_groups(session: Any, _: str, inputs: dict[str, Any]) -> Iterable[str]:  # noqa: ANN401
    cluster, prefix = inputs["clusterName"], inputs["nodeGroupNamePrefix"]
    eks = session.client("eks")
    for name in eks.list_nodegroups(clusterName=cluster)["nodegroups"]:
        digits = name.removeprefix(prefix)
        if name.startswith(prefix) and digits.isdigit():
            yield f"{cluster}:{name}"


def _identities(session: Any, _: str, inputs: dict[str, Any]) -> Iterable[str]:  # noqa: ANN401
    answer = session.client("eks").list_pod_identity_associations(
        clusterName=inputs["clusterName"],
        namespace=inputs["namespace"],
        serviceAccount=inputs["serviceAccount"],
    )
    yield from (found["associationId"] for found in answer["associations"])


def _log_group(session: Any, stack: str, inputs: dict[str, Any]) -> Iterable[str]:  # noqa: ANN401
    """Its name is that of the cluster alone: ours is one that nothing is in."""
    logs, name = session.client("logs"), inputs["name"]
    tags = logs.list_tags_log_group(logGroupName=name)["tags"]
    streams = logs.describe_log_streams(logGroupName=name, limit=1)["logStreams"]
    if tags.get(STACK_TAG) == stack and not streams:
        yield name


def _route(session: Any, _: str, inputs: dict[str, Any]) -> Iterable[str]:  # noqa: ANN401
    table, place = inputs["routeTableId"], inputs["destinationCidrBlock"]
    for route in _table(session, table)["Routes"]:
        if route.get("DestinationCidrBlock") == place:
            yield f"r-{table}{zlib.crc32(place.encode())}"


def _association(session: Any, _: str, inputs: dict[str, Any]) -> Iterable[str]:  # noqa: ANN401
    for association in _table(session, inputs["routeTableId"])["Associations"]:
        if association.get("SubnetId") == inputs["subnetId"]:
            yield association["RouteTableAssociationId"]


def _table(session: Any, ident: str) -> Any:  # noqa: ANN401
    answer = session.client("ec2").describe_route_tables(RouteTableIds=[ident])
    return answer["RouteTables"][0]


def _flow_log(session: Any, stack: str, inputs: dict[str, Any]) -> Iterable[str]:  # noqa: ANN401
    filters = [{"Name": "resource-id", "Values": [inputs["vpcId"]]}]
    answer = session.client("ec2").describe_flow_logs(Filter=filters)
    for found in answer["FlowLogs"]:
        if {"Key": STACK_TAG, "Value": stack} in found.get("Tags", []):
            yield found["FlowLogId"]


def _record(session: Any, _: str, inputs: dict[str, Any]) -> Iterable[str]:  # noqa: ANN401
    """A name is the user's: ours is a record that says what was to be said."""
    zone, name, kind = inputs["zoneId"], inputs["name"], inputs["type"]
    answer = session.client("route53").list_resource_record_sets(
        HostedZoneId=zone, StartRecordName=name, StartRecordType=kind, MaxItems="1"
    )
    leads = [alias["name"] for alias in inputs.get("aliases", ())]
    for found in answer["ResourceRecordSets"]:
        named = (found["Name"].rstrip("."), found["Type"]) == (name.rstrip("."), kind)
        says = [record["Value"] for record in found.get("ResourceRecords", ())]
        alias = found.get("AliasTarget", {}).get("DNSName", "").rstrip(".")
        if named and (says == inputs.get("records") or alias in leads):
            yield f"{zone}_{name}_{kind}"


def _key(session: Any, stack: str, _: dict[str, Any]) -> Iterable[str]:  # noqa: ANN401
    """It has no name: ours has no alias yet, and nobody was granted its use."""
    kms, tagging = (session.client(n) for n in ("kms", "resourcegroupstaggingapi"))
    tagged = tagging.get_resources(
        ResourceTypeFilters=["kms:key"],
        TagFilters=[{"Key": STACK_TAG, "Values": [stack]}],
    )
    for resource in tagged["ResourceTagMappingList"]:
        ident = resource["ResourceARN"].rpartition("/")[2]
        is_used = (
            kms.list_aliases(KeyId=ident)["Aliases"]
            or kms.list_grants(KeyId=ident)["Grants"]
        )
        state = kms.describe_key(KeyId=ident)["KeyMetadata"]["KeyState"]
        if state == "Enabled" and not is_used:
            yield ident


def _alias(session: Any, _: str, inputs: dict[str, Any]) -> Iterable[str]:  # noqa: ANN401
    answer = session.client("kms").list_aliases(KeyId=inputs["targetKeyId"])
    yield from (found["AliasName"] for found in answer["Aliases"])


def _certificate(session: Any, stack: str, inputs: dict[str, Any]) -> Iterable[str]:  # noqa: ANN401
    acm = session.client("acm")
    for page in acm.get_paginator("list_certificates").paginate():
        for found in page["CertificateSummaryList"]:
            arn = found["CertificateArn"]
            if found["DomainName"] == inputs["domainName"]:
                tags = acm.list_tags_for_certificate(CertificateArn=arn)["Tags"]
                live = acm.describe_certificate(CertificateArn=arn)["Certificate"]
                is_ours = {"Key": STACK_TAG, "Value": stack} in tags
                if is_ours and not live.get("InUseBy"):
                    yield arn


def _budget(session: Any, _: str, inputs: dict[str, Any]) -> Iterable[str]:  # noqa: ANN401
    account = session.client("sts").get_caller_identity()["Account"]
    yield f"{account}:{inputs['name']}"


_OTHERS: dict[str, Callable[[Any, str, dict[str, Any]], Iterable[str]]] = {
    "aws:acm/certificate:Certificate": _certificate,
    "aws:budgets/budget:Budget": _budget,
    "aws:cloudwatch/logGroup:LogGroup": _log_group,
    "aws:ec2/flowLog:FlowLog": _flow_log,
    "aws:ec2/route:Route": _route,
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _association,
    "aws:eks/cluster:Cluster": _cluster,
    "aws:eks/nodeGroup:NodeGroup": _node_groups,
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": _identities,
    "aws:kms/alias:Alias": _alias,
    "aws:route53/record:Record": _record,
    "aws:kms/key:Key": _key,
}
