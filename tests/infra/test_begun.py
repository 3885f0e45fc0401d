"""What a killed run had begun: found by what is the stack's alone, or not at all."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws
from pulumi.automation import Deployment

from infra.aws.begun import BegunInAws
from infra.backend import environment
from infra.pending import (
    begun,
    ending,
    half_made,
    pending,
    there,
    unread,
    unsure,
    useless,
    without_pending,
)
from raylift.errors import Denied

REGION = "us-west-2"
VPC = "aws:ec2/vpc:Vpc"
PROVIDER = {"inputs": {"region": REGION}}
TAGS = [{"Key": "raylift:stack", "Value": "dev"}]


@pytest.fixture
def ec2(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield boto3.client("ec2", region_name=REGION)


def _vpc(ec2):
    tagged = [{"ResourceType": "vpc", "Tags": TAGS}]
    made = ec2.create_vpc(CidrBlock="10.0.0.0/16", TagSpecifications=tagged)
    return made["Vpc"]["VpcId"]


def _find(stack="dev", known=()):
    inputs = {"cidrBlock": "10.0.0.0/16"}
    return BegunInAws(stack, PROVIDER).find(VPC, inputs, set(known))


def test_a_vpc_is_found_by_the_stack_that_it_carries_the_tag_of(ec2):
    vpc = _vpc(ec2)
    assert _find() == vpc
    assert _find("prod") is None
    assert _find(known=[vpc]) is None


def test_a_vpc_that_somebody_uses_is_not_taken(ec2):
    ec2.create_subnet(VpcId=_vpc(ec2), CidrBlock="10.0.0.0/24")
    assert _find() is None


def test_a_cluster_of_the_same_name_with_another_role_is_not_taken(ec2):
    role = "arn:aws:iam::123456789012:role/cluster-1234567"
    eks, where = boto3.client("eks", region_name=REGION), {"subnetIds": ["a", "b"]}
    eks.create_cluster(name="dev", roleArn=role, resourcesVpcConfig=where)
    looking, kind = BegunInAws("dev", PROVIDER), "aws:eks/cluster:Cluster"
    assert looking.find(kind, {"name": "dev", "roleArn": role}, set()) == "dev"
    other = {"name": "dev", "roleArn": role.replace("1234567", "7654321")}
    assert looking.find(kind, other, set()) is None


def _looking_for(kind, inputs, stack="dev"):
    return BegunInAws(stack, PROVIDER).find(kind, inputs, set())


def _made_key():
    made = boto3.client("kms", region_name=REGION).create_key(
        Tags=[{"TagKey": "raylift:stack", "TagValue": "dev"}]
    )
    return made["KeyMetadata"]["KeyId"]


def test_a_key_is_found_by_the_stacks_tag_until_it_has_an_alias(ec2):
    kms, kind = boto3.client("kms", region_name=REGION), "aws:kms/key:Key"
    key = _made_key()
    assert _looking_for(kind, {}) == key
    assert _looking_for(kind, {}, "prod") is None
    kms.create_alias(AliasName="alias/dev-1", TargetKeyId=key)
    assert _looking_for(kind, {}) is None
    assert _looking_for("aws:kms/alias:Alias", {"targetKeyId": key}) == "alias/dev-1"


@pytest.mark.parametrize("used", ["granted", "deleted"])
def test_a_key_that_somebody_uses_or_that_is_going_is_not_taken(ec2, used):
    kms, key = boto3.client("kms", region_name=REGION), _made_key()
    if used == "granted":
        role = "arn:aws:iam::123456789012:role/cluster"
        kms.create_grant(KeyId=key, GranteePrincipal=role, Operations=["Decrypt"])
    else:
        kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert _looking_for("aws:kms/key:Key", {}) is None


def test_a_flow_log_is_that_of_the_vpc(ec2):
    vpc, other = _vpc(ec2), _vpc(ec2)
    made = _flow_log(ec2, vpc, "/aws/vpc/dev", TAGS)
    _flow_log(ec2, other, "/security", [{"Key": "owner", "Value": "secops"}])
    kind = "aws:ec2/flowLog:FlowLog"
    found = [_looking_for(kind, {"vpcId": ident}) for ident in (vpc, other)]
    assert found == [made, None]


def _flow_log(ec2, vpc, group, tags):
    made = ec2.create_flow_logs(
        ResourceIds=[vpc],
        ResourceType="VPC",
        TrafficType="ALL",
        LogGroupName=group,
        DeliverLogsPermissionArn="arn:aws:iam::123456789012:role/flow-logs",
        TagSpecifications=[{"ResourceType": "vpc-flow-log", "Tags": tags}],
    )
    return made["FlowLogIds"][0]


def test_a_record_is_ours_where_it_says_what_was_to_be_said(ec2):
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
    told = {"zoneId": ident, "name": "_x.example.com.", "type": "CNAME"}
    asked = [
        host | {"aliases": [{"name": "ours.elb.example"}]},
        host | {"aliases": [{"name": "another.elb.example"}]},
        told | {"records": ["proof.acm.example"]},
        told | {"records": ["another.acm.example"]},
        host | {"name": "b.example.com", "aliases": [{"name": "ours.elb.example"}]},
    ]
    found = [_looking_for("aws:route53/record:Record", inputs) for inputs in asked]
    assert found == [
        f"{ident}_a.example.com_A",
        None,
        f"{ident}__x.example.com._CNAME",
        None,
        None,
    ]


def test_a_profile_that_is_not_there_is_a_denial():
    provider = {"inputs": {"region": REGION, "profile": "nobody"}}
    with pytest.raises(Denied, match="nobody"):
        BegunInAws("dev", provider)


def test_a_certificate_is_found_by_its_domain_and_the_stacks_tag(ec2):
    acm = boto3.client("acm", region_name=REGION)
    for tags in (TAGS, [{"Key": "raylift:stack", "Value": "prod"}]):
        acm.request_certificate(DomainName="a.example", Tags=tags)
    kind, inputs = "aws:acm/certificate:Certificate", {"domainName": "a.example"}
    found = {_looking_for(kind, inputs, stack) for stack in ("dev", "prod")}
    assert len(found) == 2
    assert None not in found
    assert _looking_for(kind, {"domainName": "b.example"}) is None
    assert _looking_for(kind, inputs, "test") is None


def _resource(name, **more):
    return {"urn": f"urn::{VPC}::{name}", "type": VPC, "inputs": {"a": 1}, **more}


def test_what_is_found_is_the_stacks_until_more_is_read_of_it():
    there = _resource("old", id="vpc-1", outputs={"a": 1, "arn": "x"})
    operations = [
        {"type": "creating", "resource": _resource("new")},
        {"type": "creating", "resource": _resource("old")},  # to replace it
        {"type": "updating", "resource": there},
    ]
    deployment = {"resources": [there], "pending_operations": operations}
    state = Deployment(version=3, deployment=deployment)
    assert len(pending(state)) == 3
    assert [words.split()[-1] for words in begun(state)] == ["new", "old"]
    found = [(f"vpc-{2 + i}", found) for i, found in enumerate(begun(state).values())]
    after = without_pending(state, found)
    changed, new, instead = after.deployment["resources"]
    assert unsure(after) == [changed]
    assert (changed["id"], changed["outputs"]) == ("vpc-1", {"a": 1, "arn": "x"})
    assert (new["id"], new["outputs"]) == ("vpc-2", {"a": 1})
    assert (instead["id"], instead["delete"]) == ("vpc-3", True)
    assert pending(after) == []
    assert unread(after) == [new["urn"], instead["urn"]]
    new["outputs"] = {"a": 1, "arn": "y"}
    assert unread(after) == [instead["urn"]]


def test_what_was_being_deleted_is_told_unless_something_else_has_its_place():
    gone, kept, needed = (_resource(name, id=name) for name in ("gone", "it", "needed"))
    old = _resource("replaced", id="old", delete=True)
    new = _resource("replaced", id="new", dependencies=[needed["urn"]])
    operations = [
        {"type": "deleting", "resource": each} for each in (gone, kept, needed, old)
    ]
    operations.append({"type": "updating", "resource": new})
    resources = [kept, needed, old, new]
    deployment = {"resources": resources, "pending_operations": operations}
    state = Deployment(version=3, deployment=deployment)
    assert ending(state) == [kept["urn"]]
    assert there(state, [gone["urn"], kept["urn"]]) == [kept["urn"]]


def test_what_is_half_made_is_known_as_such_also_by_the_run_after_the_next():
    found = ("vpc-1", half_made(_resource("new", protect=True)))
    old = _resource("old", id="vpc-0")
    instead = ("vpc-2", half_made(_resource("old")))
    state = Deployment(version=3, deployment={"resources": [old]})
    after = without_pending(state, [found, instead])
    assert useless(after) == [found[1]["urn"]]
    assert after.deployment["resources"][1]["protect"] is False


def test_an_empty_note_beside_a_state_goes_and_another_stays(tmp_path, monkeypatch):
    folder = tmp_path / ".pulumi" / "stacks" / "raylift"
    folder.mkdir(parents=True)
    for name, text in (("killed", ""), ("whole", "{}")):
        (folder / f"{name}.json.attrs").write_text(text)
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}?no_tmp_dir=true")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    environment(tmp_path, tmp_path / "Pulumi.killed.yaml")
    assert [path.name for path in folder.iterdir()] == ["whole.json.attrs"]
