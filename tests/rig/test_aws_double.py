"""Tests of the provider double `aws`.

The real engine creates, updates and deletes a resource of every type.
"""

import contextlib
import gc
import os
import pathlib
import signal
import subprocess
import sys
import time

import boto3
import psutil
import pulumi_aws as aws
import pytest
from awsfake import engine
from awsfake.everything import DOMAIN, FIRST, SECOND, everything, small
from awsfake.leftovers import leftovers
from awsfake.resources import TYPES
from project import default_signals
from pulumi import automation as auto

pytestmark = [
    pytest.mark.long,
    pytest.mark.rig,
    pytest.mark.skipif(
        not engine.pulumi(), reason="the Pulumi CLI is missing: run tests/rig/build.sh"
    ),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # all of pulumi_aws.s3
    # After a program fails, the Automation API leaves an event loop with open sockets.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture
def double(tmp_path, monkeypatch):
    """Start a separate moto server and set the environment for Pulumi."""
    with engine.running(tmp_path) as environment:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield tmp_path
    gc.collect()  # so that warnings about open resources appear in this module


def counted(what):
    """Run a preview, up, refresh or destroy; return {operation: count of resources}."""
    start, result = time.monotonic(), what()
    summary = getattr(result, "change_summary", None)
    summary = summary or result.summary.resource_changes
    print(f"{what.__name__}: {time.monotonic() - start:.1f} s, {summary}")
    return {str(getattr(key, "value", key)): n for key, n in summary.items()}


def stack_of(program, name="double"):
    return auto.create_or_select_stack(name, "test", program)


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"the condition was not met within {seconds} s"
        time.sleep(0.2)
    return value


def test_every_type_is_created_updated_and_deleted(double):
    boto3.client("route53").create_hosted_zone(Name=DOMAIN, CallerReference="test")
    wanted = dict(FIRST)
    stack = stack_of(lambda: everything(wanted))
    assert set(counted(stack.preview)) == {"create"}
    assert leftovers() == []
    assert set(counted(stack.up)) == {"create"}
    created = {each["type"] for each in stack.export_stack().deployment["resources"]}
    assert created >= TYPES.keys()
    known = stack.outputs()["known"].value
    assert known == {
        "partition": "aws",
        "offers": True,
        "default": True,
        "cidr": "10.0.0.0/16",
        "kubernetes": ["1.35"],
    }
    assert set(counted(stack.up)) == {"same"}
    assert set(counted(stack.refresh)) == {"same"}

    wanted |= SECOND
    assert set(counted(stack.preview)) == {"same", "update"}
    assert set(counted(stack.up)) == {"same", "update"}
    assert_changed({key: output.value for key, output in stack.outputs().items()})
    assert set(counted(stack.refresh)) == {"same"}
    assert set(counted(stack.up)) == {"same"}

    assert set(counted(stack.destroy)) == {"delete"}
    assert leftovers() == []


def assert_changed(outputs):
    """Assert through AWS's API that the resources have the values of SECOND."""
    eks, scaling = boto3.client("eks"), boto3.client("autoscaling")
    names = {"clusterName": outputs["cluster"], "nodegroupName": outputs["group"]}
    group = eks.describe_nodegroup(**names)["nodegroup"]
    assert group["scalingConfig"] == {"minSize": 0, "maxSize": 3, "desiredSize": 2}
    assert group["labels"] == {"pool": "gpu", "bigger": "yes"}
    found = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=[outputs["asg"]])
    assert len(found["AutoScalingGroups"][0]["Instances"]) == 2
    cluster = eks.describe_cluster(name=outputs["cluster"])["cluster"]
    assert cluster["tags"] == SECOND["tags"]
    assert outputs["version"] == SECOND["version"]
    logs = boto3.client("logs").describe_log_groups(logGroupNamePrefix="/aws/eks/")
    assert logs["logGroups"][0]["retentionInDays"] == SECOND["days"]
    template = boto3.client("ec2").describe_launch_template_versions(
        LaunchTemplateId=outputs["template"], Versions=["$Default"]
    )["LaunchTemplateVersions"][0]
    disk = template["LaunchTemplateData"]["BlockDeviceMappings"][0]["Ebs"]
    assert (template["VersionNumber"], disk["VolumeSize"]) == (2, SECOND["disk"])


def test_a_refresh_detects_changes_made_outside_pulumi(double):
    stack = stack_of(small)
    stack.up()
    ec2 = boto3.client("ec2")
    vpc = ec2.describe_vpcs(Filters=[{"Name": "cidr", "Values": ["10.0.0.0/16"]}])
    name = vpc["Vpcs"][0]["VpcId"]
    ec2.create_tags(Resources=[name], Tags=[{"Key": "by", "Value": "hand"}])
    boto3.client("eks").delete_cluster(name="small")
    counts = counted(stack.refresh)
    assert (counts["update"], counts["delete"]) == (1, 1)


def misspelled():
    aws.eks.Cluster("small", role_arn="", versoin="1.35", vpc_config={"subnet_ids": []})


def unknown_type():
    aws.sqs.Queue("queue")


def protected():
    small(deletion_protection=True)


def twice():
    cluster = small(access_config={"authentication_mode": "API"})
    for name in ("one", "other"):
        aws.eks.Addon(name, cluster_name=cluster.name, addon_name="vpc-cni")


def without_access_entries():
    cluster = small()
    who = "arn:aws:iam::123456789012:user/ops"
    aws.eks.AccessEntry("ops", cluster_name=cluster.name, principal_arn=who)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (misspelled, "versoin"),
        (unknown_type, "has no aws:sqs/queue:Queue"),
        (lambda: small(version="1.10"), "unsupported Kubernetes version 1.10"),
        (protected, "deletion protection of small"),
        (twice, "ResourceInUseException: small:vpc-cni exists"),
        (without_access_entries, "authentication mode"),
    ],
)
def test_requests_that_aws_refuses_are_refused(double, program, words):
    stack = stack_of(program)
    with pytest.raises(auto.CommandError, match=words):
        up_and_down(stack)


def up_and_down(stack):
    stack.up()
    stack.destroy()


def test_a_resource_with_a_fixed_name_is_deleted_before_it_is_replaced(double):
    wanted = {"description": "one"}

    def program():
        vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16")
        aws.ec2.SecurityGroup("fixed", name="fixed", vpc_id=vpc.id, **wanted)
        aws.ec2.SecurityGroup("free", vpc_id=vpc.id, **wanted)

    stack = stack_of(program)
    stack.up()
    wanted["description"] = "other"
    assert counted(stack.up)["replace"] == 2
    stack.destroy()
    assert leftovers() == []


def test_a_subnet_with_network_interfaces_is_not_deleted(double):
    stack = stack_of(small)
    stack.up()
    subnet = boto3.client("ec2").describe_subnets(
        Filters=[{"Name": "cidr-block", "Values": ["10.0.0.0/24"]}]
    )["Subnets"][0]["SubnetId"]
    boto3.client("ec2").create_network_interface(SubnetId=subnet)
    with pytest.raises(auto.CommandError, match="DependencyViolation"):
        stack.destroy()
    assert [line.split()[:2] for line in leftovers()].count(["subnet", subnet]) == 1


@contextlib.contextmanager
def waiting_for_a_cluster(folder):
    """Run `up` in a separate process; yield its engine while that awaits a cluster."""
    program = (
        "from awsfake.everything import small; from pulumi import automation as auto;"
        "auto.create_or_select_stack('double', 'test', small).up()"
    )
    rig = str(pathlib.Path(__file__).parent)
    environment = {**os.environ, "AWSFAKE_SECONDS": "60", "PYTHONPATH": rig}
    command = [sys.executable, "-W", "ignore", "-c", program]
    with (folder / "up.log").open("wb") as log:
        up = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, preexec_fn=default_signals
        )
    try:
        until(lambda: boto3.client("eks").list_clusters()["clusters"], 60)
        yield next(
            each
            for each in psutil.Process(up.pid).children()
            if "pulumi" in each.name()
        )
        up.wait(30)
    finally:
        up.kill()
        up.wait()


def test_a_killed_engine_leaves_an_orphaned_resource(double):
    with waiting_for_a_cluster(double) as running:
        plugins = running.children(recursive=True)
        assert any("awsfake.provider" in each.cmdline() for each in plugins)
        running.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(plugins, timeout=5)
        assert not alive
    stack = stack_of(small)
    stack.cancel()
    pending = stack.export_stack().deployment["pending_operations"]
    assert [each["type"] for each in pending] == ["creating"]
    with pytest.raises(auto.CommandError, match="ResourceInUseException"):
        stack.up()


def test_an_interrupted_engine_records_an_incomplete_resource(double):
    with waiting_for_a_cluster(double) as running:
        running.send_signal(signal.SIGINT)
    stack = stack_of(small)
    assert "EKS cluster small" in leftovers()
    stack.destroy()
    assert leftovers() == []
