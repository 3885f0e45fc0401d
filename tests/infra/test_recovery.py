"""Recovery of interrupted creates: the stack's own resources are found, no others."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws
from pulumi.automation import Deployment

from raylift.errors import PermissionDenied
from raylift.infra.aws.recovery import AwsRecovery
from raylift.infra.aws.tags import RESOURCE_TAG
from raylift.infra.engine.backend import environment
from raylift.infra.engine.pending_operations import (
    describe_pending,
    interrupted_creates,
    interrupted_deletes,
    interrupted_updates,
    mark_unusable,
    recorded,
    resolve_pending,
    unrefreshed,
    unusable,
)

REGION = "us-west-2"
VPC = "aws:ec2/vpc:Vpc"
KEY = "aws:kms/key:Key"
PROVIDER = {"inputs": {"region": REGION}}
OWN, OTHER = "1f0c-own/vpc", "9d2e-other/vpc"
ROLE = "arn:aws:iam::123456789012:role/cluster-1234567"


@pytest.fixture
def ec2(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("ec2", region_name=REGION)


def _tags(value=OWN):
    return [{"Key": RESOURCE_TAG, "Value": value}]


def _tagged(kind, value=OWN):
    return [{"ResourceType": kind, "Tags": _tags(value)}]


def _find(kind, inputs=None, *, tag=OWN, known=()):
    inputs = {**(inputs or {}), "tags": {RESOURCE_TAG: tag}}
    return AwsRecovery(PROVIDER).find(kind, inputs, set(known))


def _vpc(ec2, tag=OWN):
    response = ec2.create_vpc(
        CidrBlock="10.0.0.0/16", TagSpecifications=_tagged("vpc", tag)
    )
    return response["Vpc"]["VpcId"]


def _subnet(ec2):
    response = ec2.create_subnet(
        VpcId=_vpc(ec2),
        CidrBlock="10.0.0.0/24",
        TagSpecifications=_tagged("subnet"),
    )
    return response["Subnet"]["SubnetId"]


def _address(ec2):
    response = ec2.allocate_address(
        Domain="vpc", TagSpecifications=_tagged("elastic-ip")
    )
    return response["AllocationId"]


def _internet_gateway(ec2):
    response = ec2.create_internet_gateway(
        TagSpecifications=_tagged("internet-gateway")
    )
    return response["InternetGateway"]["InternetGatewayId"]


def _nat_gateway(ec2):
    response = ec2.create_nat_gateway(
        SubnetId=_subnet(ec2),
        AllocationId=_address(ec2),
        TagSpecifications=_tagged("natgateway"),
    )
    return response["NatGateway"]["NatGatewayId"]


def _route_table(ec2):
    response = ec2.create_route_table(
        VpcId=_vpc(ec2), TagSpecifications=_tagged("route-table")
    )
    return response["RouteTable"]["RouteTableId"]


def _endpoint(ec2):
    response = ec2.create_vpc_endpoint(
        VpcId=_vpc(ec2),
        ServiceName=f"com.amazonaws.{REGION}.s3",
        TagSpecifications=_tagged("vpc-endpoint"),
    )
    return response["VpcEndpoint"]["VpcEndpointId"]


def _security_group(ec2):
    return ec2.create_security_group(
        GroupName="gcs",
        Description="gcs",
        VpcId=_vpc(ec2),
        TagSpecifications=_tagged("security-group"),
    )["GroupId"]


def _rule(ec2, direction="ingress"):
    address = {"CidrIp": "10.0.0.0/8"}
    response = getattr(ec2, f"authorize_security_group_{direction}")(
        GroupId=_security_group(ec2),
        IpPermissions=[{"IpProtocol": "-1", "IpRanges": [address]}],
        TagSpecifications=_tagged("security-group-rule"),
    )
    return response["SecurityGroupRules"][0]["SecurityGroupRuleId"]


def _launch_template(ec2):
    response = ec2.create_launch_template(
        LaunchTemplateName="l4",
        LaunchTemplateData={},
        TagSpecifications=_tagged("launch-template"),
    )
    return response["LaunchTemplate"]["LaunchTemplateId"]


def _flow_log(ec2):
    response = ec2.create_flow_logs(
        ResourceIds=[_vpc(ec2)],
        ResourceType="VPC",
        TrafficType="ALL",
        LogGroupName="/aws/vpc/dev",
        DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flow-logs",
        TagSpecifications=_tagged("vpc-flow-log"),
    )
    return response["FlowLogIds"][0]


@pytest.mark.parametrize(
    ("kind", "create"),
    [
        ("aws:ec2/eip:Eip", _address),
        ("aws:ec2/flowLog:FlowLog", _flow_log),
        ("aws:ec2/internetGateway:InternetGateway", _internet_gateway),
        ("aws:ec2/launchTemplate:LaunchTemplate", _launch_template),
        ("aws:ec2/natGateway:NatGateway", _nat_gateway),
        ("aws:ec2/routeTable:RouteTable", _route_table),
        ("aws:ec2/securityGroup:SecurityGroup", _security_group),
        ("aws:ec2/subnet:Subnet", _subnet),
        (VPC, _vpc),
        ("aws:ec2/vpcEndpoint:VpcEndpoint", _endpoint),
        (
            "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
            lambda ec2: _rule(ec2, "egress"),
        ),
        ("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule", _rule),
    ],
)
def test_a_resource_of_ec2_is_found_by_its_own_tag(ec2, kind, create):
    ident = create(ec2)
    assert _find(kind) == ident
    assert _find(kind, tag=OTHER) is None
    assert _find(kind, known=[ident]) is None


def test_a_deleted_resource_is_not_found(ec2):
    vpc, nat = _vpc(ec2), _nat_gateway(ec2)
    ec2.delete_vpc(VpcId=vpc)
    ec2.delete_nat_gateway(NatGatewayId=nat)
    assert _find(VPC) != vpc
    assert _find("aws:ec2/natGateway:NatGateway") is None


def test_a_replacement_is_found_beside_the_resource_that_it_replaces(ec2):
    old, new = _vpc(ec2), _vpc(ec2)
    assert _find(VPC, known=[old]) == new


def test_a_cluster_of_the_same_name_with_another_role_is_not_taken(ec2):
    eks, subnets = boto3.client("eks", region_name=REGION), {"subnetIds": ["a", "b"]}
    eks.create_cluster(name="dev", roleArn=ROLE, resourcesVpcConfig=subnets)
    kind = "aws:eks/cluster:Cluster"
    assert _find(kind, {"name": "dev", "roleArn": ROLE}) == "dev"
    other = ROLE.replace("1234567", "7654321")
    assert _find(kind, {"name": "dev", "roleArn": other}) is None


def test_a_key_is_found_by_its_tag_until_it_is_deleted(ec2):
    kms = boto3.client("kms", region_name=REGION)
    tag = {"TagKey": RESOURCE_TAG, "TagValue": OWN}
    key = kms.create_key(Tags=[tag])["KeyMetadata"]["KeyId"]
    assert _find(KEY) == key
    assert _find(KEY, tag=OTHER) is None
    kms.create_alias(AliasName="alias/dev-1", TargetKeyId=key)
    assert _find("aws:kms/alias:Alias", {"targetKeyId": key}) == "alias/dev-1"
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert _find(KEY) is None


def test_a_log_group_is_found_by_its_name_and_tag(ec2):
    logs = boto3.client("logs", region_name=REGION)
    logs.create_log_group(logGroupName="/aws/vpc/dev", tags={RESOURCE_TAG: OWN})
    kind = "aws:cloudwatch/logGroup:LogGroup"
    assert _find(kind, {"name": "/aws/vpc/dev"}) == "/aws/vpc/dev"
    assert _find(kind, {"name": "/aws/vpc/dev"}, tag=OTHER) is None
    assert _find(kind, {"name": "/aws/vpc/prod"}) is None


def test_a_certificate_is_found_by_its_domain_and_tag(ec2):
    acm = boto3.client("acm", region_name=REGION)
    for tag in (OWN, OTHER):
        acm.request_certificate(DomainName="a.example", Tags=_tags(tag))
    kind, inputs = "aws:acm/certificate:Certificate", {"domainName": "a.example"}
    found = {_find(kind, inputs, tag=tag) for tag in (OWN, OTHER)}
    assert len(found) == 2
    assert None not in found
    assert _find(kind, {"domainName": "b.example"}) is None
    assert _find(kind, inputs, tag="4b7a-third/host") is None


def test_a_record_is_found_if_it_has_the_value_of_the_inputs(ec2):
    dns = boto3.client("route53", region_name=REGION)
    zone = dns.create_hosted_zone(Name="example.com", CallerReference="x")
    ident = zone["HostedZone"]["Id"].rpartition("/")[2]
    alias = {
        "DNSName": "ours.elb.example",
        "HostedZoneId": "Z1",
        "EvaluateTargetHealth": False,
    }
    proof = {"TTL": 60, "ResourceRecords": [{"Value": "proof.acm.example"}]}
    for record in (
        {"Name": "a.example.com", "Type": "A", "AliasTarget": alias},
        {"Name": "_x.example.com", "Type": "CNAME", **proof},
    ):
        change = {"Action": "CREATE", "ResourceRecordSet": record}
        batch = {"Changes": [change]}
        dns.change_resource_record_sets(HostedZoneId=ident, ChangeBatch=batch)
    host = {"zoneId": ident, "name": "a.example.com", "type": "A"}
    validation = {"zoneId": ident, "name": "_x.example.com.", "type": "CNAME"}
    inputs = [
        host | {"aliases": [{"name": "ours.elb.example"}]},
        host | {"aliases": [{"name": "another.elb.example"}]},
        validation | {"records": ["proof.acm.example"]},
        validation | {"records": ["another.acm.example"]},
        host | {"name": "b.example.com", "aliases": [{"name": "ours.elb.example"}]},
    ]
    found = [_find("aws:route53/record:Record", each) for each in inputs]
    assert found == [
        f"{ident}_a.example.com_A",
        None,
        f"{ident}__x.example.com._CNAME",
        None,
        None,
    ]


def test_a_missing_profile_is_permission_denied():
    provider = {"inputs": {"region": REGION, "profile": "missing"}}
    with pytest.raises(PermissionDenied, match="missing"):
        AwsRecovery(provider)


def _resource(name, **more):
    return {"urn": f"urn::{VPC}::{name}", "type": VPC, "inputs": {"a": 1}, **more}


def test_imported_resources_are_unrefreshed_until_their_outputs_are_read():
    existing = _resource("old", id="vpc-1", outputs={"a": 1, "arn": "x"})
    operations = [
        {"type": "creating", "resource": _resource("new")},
        {"type": "creating", "resource": _resource("old")},  # its replacement
        {"type": "updating", "resource": existing},
    ]
    deployment = {"resources": [existing], "pending_operations": operations}
    state = Deployment(version=3, deployment=deployment)
    creates = interrupted_creates(state)
    assert len(describe_pending(state)) == 3
    assert [description.split()[-1] for description in creates] == ["new", "old"]
    found = [(f"vpc-{2 + i}", each) for i, each in enumerate(creates.values())]
    after = resolve_pending(state, found)
    updated, new, replacement = after.deployment["resources"]
    assert interrupted_updates(after) == [updated]
    assert (updated["id"], updated["outputs"]) == ("vpc-1", {"a": 1, "arn": "x"})
    assert (new["id"], new["outputs"]) == ("vpc-2", {"a": 1})
    assert (replacement["id"], replacement["delete"]) == ("vpc-3", True)
    assert describe_pending(after) == []
    assert unrefreshed(after) == [new["urn"], replacement["urn"]]
    new["outputs"] = {"a": 1, "arn": "y"}
    assert unrefreshed(after) == [replacement["urn"]]


def test_an_interrupted_delete_is_repeated_unless_the_resource_was_replaced():
    deleted, existing, needed = (
        _resource(name, id=name) for name in ("deleted", "existing", "needed")
    )
    old = _resource("replaced", id="old", delete=True)
    new = _resource("replaced", id="new", dependencies=[needed["urn"]])
    operations = [
        {"type": "deleting", "resource": each}
        for each in (deleted, existing, needed, old)
    ]
    operations.append({"type": "updating", "resource": new})
    resources = [existing, needed, old, new]
    deployment = {"resources": resources, "pending_operations": operations}
    state = Deployment(version=3, deployment=deployment)
    assert interrupted_deletes(state) == [existing["urn"]]
    assert recorded(state, [deleted["urn"], existing["urn"]]) == [existing["urn"]]


def test_an_unusable_resource_stays_marked_in_the_state():
    found = ("vpc-1", mark_unusable(_resource("new", protect=True)))
    old = _resource("old", id="vpc-0")
    replacement = ("vpc-2", mark_unusable(_resource("old")))
    state = Deployment(version=3, deployment={"resources": [old]})
    after = resolve_pending(state, [found, replacement])
    assert unusable(after) == [found[1]["urn"]]
    assert after.deployment["resources"][1]["protect"] is False


def test_only_an_empty_attributes_file_of_the_state_is_removed(tmp_path, monkeypatch):
    folder = tmp_path / ".pulumi" / "stacks" / "raylift"
    folder.mkdir(parents=True)
    for name, text in (("killed", ""), ("whole", "{}")):
        (folder / f"{name}.json.attrs").write_text(text)
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}?no_tmp_dir=true")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    environment(tmp_path, tmp_path / "Pulumi.killed.yaml")
    assert [path.name for path in folder.iterdir()] == ["whole.json.attrs"]
