"""Stacks of target `aws` as shipped: made, changed, cut off and taken away.

The engine, the program and the API server are real, the providers and AWS are doubles.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import threading
import time
import zipfile

import boto3
import pytest
from awsfake.leftovers import leftovers
from control_plane.nodes import node
from kube import kubectl, objects
from project import wait_until
from stack import ROOT, project

pytestmark = pytest.mark.rig

REGION = "us-west-2"
KINDS = (
    "namespaces,rayservices,rayclusters,pods,services,pvc,secrets,networkpolicies,"
    "serviceaccounts,poddisruptionbudgets,ingresses,storageclasses"
)
GPU = """
from ray import serve

@serve.deployment(ray_actor_options={"num_gpus": 1})
class Gpu:
    pass

app = Gpu.bind()
"""
MOMENTS = random.Random(5)


@pytest.fixture(scope="module", autouse=True)
def cloud(rig):
    """An account with the system node that EKS would bring, and nothing else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_REGION", REGION)
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("RAYLIFT_CALLER_CIDR", "203.0.113.7/32")
        system = node("system-0", "system", "m7i.xlarge", cpu="4", memory="16Gi")
        system["metadata"]["labels"]["raylift.io/node-group"] = "system"
        kubectl("create", "-f", "-", text=json.dumps(system))
        yield
        kubectl("delete", "node", "system-0")


def _shipped(name):
    return (ROOT / "stacks" / f"Pulumi.{name}.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def dev(cloud, tmp_path_factory):
    with project(
        tmp_path_factory.mktemp("dev"), "aws-dev", _shipped("aws-dev")
    ) as made:
        yield made


def _assert_nothing_is_left():
    assert leftovers() == []
    assert objects(KINDS, "--all-namespaces", "-l", "raylift.io/stack") == []


def _assert_made_once():
    made = [line.rpartition(" ")[0] for line in leftovers()]
    once = ("VPC", "EKS cluster", "address", "NAT gateway", "flow log", "bucket")
    once += ("key", "alias")
    assert [made.count(kind) for kind in once] == [1] * len(once), made
    assert made.count("log group") == 2, made


def _assert_settled(stack):
    """Neither another run nor the world as it is gives Pulumi anything to do."""
    assert "nothing to do" in stack.raylift("up").stderr
    stack.run("pulumi", "refresh", "--yes", "-s", stack.name)
    assert "nothing to do" in stack.raylift("preview").stderr


def _killed(stack, verb, seconds):
    """A run in the hands of SIGKILL, some seconds at most after a first thing is done.

    False where it was faster and has ended.
    """
    running = stack.start(verb, "--yes")
    said = _until_said(
        running, r"(created|deleted|waiting for|stack) |a run was cut off"
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.wait(MOMENTS.uniform(0, seconds))
        said += running.communicate()[0]
        assert running.returncode == 0, said
        return False
    _kill(running, said)
    return True


def _killed_pulumi(stack):
    """Plain `pulumi up`, as soon as it makes things; it wants a lock freed by hand."""
    name = ("-s", stack.name)
    refused = stack.run("pulumi", "up", "--yes", *name, code=None)
    assert "currently locked" in refused.stdout + refused.stderr
    stack.run("pulumi", "cancel", "--yes", *name)
    words = ("--yes", "--skip-preview", "--non-interactive")
    running = stack.spawn("pulumi", "up", *words, *name)
    _kill(running, _until_said(running, r".* creat(ing|ed) \("))


def _kill(running, said=""):
    os.killpg(running.pid, signal.SIGKILL)
    said += running.communicate(timeout=30)[0]
    assert running.returncode == -signal.SIGKILL, said
    assert "Traceback" not in said, said
    time.sleep(3)  # plugins end what they were asked for


def _releases(api):
    """Helm's own word on each release in the cluster."""
    found = api.items("/api/v1/secrets?labelSelector=owner%3Dhelm")
    labels = [secret["metadata"]["labels"] for secret in found]
    return {each["name"]: each["status"] for each in labels}


def _wait_for_chart(api, status, *, seconds):
    wait_until(
        lambda: _releases(api).get("kuberay-operator") == status,
        seconds=seconds,
        every=0.02,
    )


def _until_said(running, pattern):
    said = ""
    for line in running.stdout:
        said += line
        if re.match(pattern, line):
            return said
    pytest.fail(said)


@pytest.fixture
def slowly(monkeypatch):
    """AWS and Helm take their time, for a kill to find them at work."""
    with monkeypatch.context() as patch:
        patch.setenv("AWSFAKE_SECONDS", "2")
        patch.setenv("K8SFAKE_SECONDS", "0.5")
        yield patch


def test_runs_that_are_killed_at_thirty_moments_leave_what_one_can_finish(dev, slowly):
    """Each `up` goes on where a killed `up` or a killed `delete` has ended."""
    verbs = 3 * (["up"] * 7 + ["delete"] * 3)
    killed = [_killed(dev, verb, seconds=4) for verb in verbs]
    assert killed.count(True) >= 15, killed  # the others were faster than the kill
    slowly.undo()
    dev.raylift("up", "--yes")
    _assert_made_once()
    _assert_settled(dev)
    assert "is gone" in dev.raylift("delete", "--yes").stdout
    _assert_nothing_is_left()


def test_charts_and_plain_pulumi_that_are_killed_are_finished_by_the_next_up(
    dev, api, slowly
):
    assert _killed(dev, "up", seconds=2)
    _killed_pulumi(dev)
    slowly.setenv("K8SFAKE_SECONDS", "60")  # for no plugin to end it after the kill
    running = dev.start("up", "--yes")
    _wait_for_chart(api, "pending-install", seconds=60)
    _kill(running)
    slowly.undo()
    dev.raylift("up", "--yes")
    assert set(_releases(api).values()) == {"deployed"}
    _assert_made_once()
    _assert_settled(dev)


def test_a_chart_whose_change_is_killed_is_changed_by_the_next_up(dev, api, slowly):
    """Also where the file is as it was before that change."""
    dev.raylift("up", "--yes")
    text = dev.file.read_text(encoding="utf-8")
    gates = "[{name: RayMultiHostIndexing, enabled: true}]"
    changed = f"  raylift:ray: {{operator: {{featureGates: {gates}}}}}\n"
    slowly.setenv("K8SFAKE_SECONDS", "60")
    target = "  raylift:target: aws\n"
    dev.write(text.replace(target, target + changed))
    running = dev.start("up", "--yes")
    _wait_for_chart(api, "pending-upgrade", seconds=60)
    _kill(running)
    slowly.undo()
    dev.write(text)
    said = dev.raylift("up", "--yes").stdout
    assert "change kubernetes:helm.sh/v3:Release kuberay-operator" in said
    assert set(_releases(api).values()) == {"deployed"}
    _assert_settled(dev)


def test_a_replica_that_waits_for_a_gpu_is_told_in_the_schedulers_words(dev, rig):
    """By the stack's own kubeconfig; no node of its GPU group ever comes here."""
    dev.raylift("up", "--yes")
    with zipfile.ZipFile(rig / "gpu.zip", "w") as file:
        file.writestr("gpu.py", GPU)
    application = {
        "name": "gpu",
        "import_path": "gpu:app",
        "runtime_env": {"working_dir": f"file://{rig}/gpu.zip"},
    }
    config = json.dumps({"applications": [application]})
    (dev.folder / "serve.yaml").write_text(config, encoding="utf-8")
    said = dev.raylift("deploy", "--timeout", "40", code=6).stderr
    assert "a replica waits for CPU 1 (0 free), GPU 1 (0 free); pod " in said
    assert re.search(r"0/\d+ nodes are available: \d", said)
    assert json.loads(dev.raylift("status", "--json").stdout)["applications"] == []


def test_a_change_of_the_file_changes_what_it_names_and_nothing_else(dev):
    text = dev.file.read_text(encoding="utf-8").replace("maxSize: 2\n", "maxSize: 3\n")
    group = "    - {name: a10g, instanceTypes: [g5.xlarge], maxSize: 1}\n"
    text = text.replace("  # One small", f"{group}  # One small")
    days = "  raylift:kubernetes: {logRetentionDays: 3}\n"
    dev.write(text.replace("  raylift:target: aws\n", f"  raylift:target: aws\n{days}"))
    said = dev.raylift("up", "--yes").stdout
    changes = {
        " ".join(line.split()[1:4]) for line in said.splitlines() if line[:1] in "+~-"
    }
    assert changes == {
        "change aws:cloudwatch/logGroup:LogGroup control-plane-logs",
        "change aws:cloudwatch/logGroup:LogGroup flow-logs",
        "change aws:eks/nodeGroup:NodeGroup l4",
        "create aws:ec2/launchTemplate:LaunchTemplate a10g-template",
        "create aws:eks/nodeGroup:NodeGroup a10g",
        "change kubernetes:ray.io/v1:RayService ray-service",
    }
    _assert_settled(dev)
    logs = boto3.client("logs").describe_log_groups(logGroupNamePrefix="/aws/")
    assert [group["retentionInDays"] for group in logs["logGroups"]] == [3, 3]


def test_another_key_would_replace_the_cluster_and_is_refused(dev):
    text = dev.file.read_text(encoding="utf-8")
    target = "  raylift:target: aws\n"
    mine = "  raylift:kmsKeyArn: arn:aws:kms:us-west-2:123456789012:key/mine\n"
    dev.write(text.replace(target, target + mine))
    refused = dev.raylift("up", "--yes", code=3)
    assert "would be REPLACED, with all that it keeps" in refused.stderr
    dev.write(text)


def test_a_delete_that_is_killed_is_finished_by_the_next(dev, api, slowly):
    running = dev.start("delete", "--yes")
    _wait_for_chart(api, "uninstalling", seconds=90)
    _kill(running)
    assert "kuberay-operator" not in _releases(api)  # unseen by the state
    running = dev.start("delete", "--yes")
    _kill(running, _until_said(running, "deleted aws:eks/nodeGroup"))
    assert "is gone" in dev.raylift("delete", "--yes").stdout
    _assert_nothing_is_left()
    assert _releases(api) == {}


def test_a_protected_stack_is_deleted_when_its_file_says_so(tmp_path):
    iam = boto3.client("iam")
    iam.create_role(RoleName="platform", AssumeRolePolicyDocument="{}")
    text = _shipped("aws-prod")
    with project(tmp_path, "aws-prod", text) as prod:
        _up_without_a_head(prod)
        assert "nothing to do" in prod.raylift("preview").stderr
        refused = prod.raylift("delete", "--yes", code=3)
        assert "raylift:protection.deletionProtection is on" in refused.stderr
        assert "set it to false and run raylift up -s aws-prod" in refused.stderr
        assert "deletionProtection: true" in text
        prod.write(
            text.replace("deletionProtection: true", "deletionProtection: false")
        )
        _up_without_a_head(prod)
        assert "is gone" in prod.raylift("delete", "--yes").stdout
    iam.delete_role(RoleName="platform")
    _assert_nothing_is_left()


def _up_without_a_head(stack):
    """`up` until it waits for the head, whose state nobody keeps: moto has no Redis."""
    running = stack.start("up", "--yes")
    said = _until_said(running, "waiting for")
    running.send_signal(signal.SIGINT)
    said += running.communicate(timeout=30)[0]
    assert running.returncode == 130, said


def test_a_host_leads_to_the_load_balancer_also_to_the_next_one(tmp_path):
    dns = boto3.client("route53")
    zone = dns.create_hosted_zone(Name="example.com", CallerReference="rig")
    ident = zone["HostedZone"]["Id"].rpartition("/")[2]
    ingress = f"{{type: alb, host: models.example.com, hostedZoneId: {ident}}}"
    text = f"{_shipped('aws-dev')}  raylift:ingress: {ingress}\n"
    public = "scheme: internet-facing, allowedCidrs: [203.0.113.0/24]"
    with project(tmp_path, "aws-zone", text) as stack:
        with _load_balancer("first.example"):
            stack.raylift("up", "--yes")
        assert _led_to(ident) == "first.example"
        _assert_settled(stack)
        stack.write(text.replace("type: alb", f"type: alb, {public}"))
        with _load_balancer("second.example"):
            said = stack.raylift("up", "--yes").stdout
        assert "replace kubernetes:networking.k8s.io/v1:Ingress ingress" in said
        assert _led_to(ident) == "second.example"
        assert "is gone" in stack.raylift("delete", "--yes").stdout
    _assert_nothing_is_left()
    dns.delete_hosted_zone(Id=ident)


@contextlib.contextmanager
def _load_balancer(name):
    """The load balancer controller: the next Ingress without a name is given one."""
    done = threading.Event()
    status = {"status": {"loadBalancer": {"ingress": [{"hostname": name}]}}}
    patch = ("--subresource=status", "--type=merge", f"-p={json.dumps(status)}")

    def give():
        while not done.wait(0.3):
            for found in objects("ingresses", "-n", "ray"):
                if not found["status"].get("loadBalancer"):
                    kubectl("patch", "ingress", "aws-zone", "-n", "ray", *patch)
                    return

    controller = threading.Thread(target=give)
    controller.start()
    try:
        yield
    finally:
        done.set()
        controller.join()


def _led_to(zone):
    found = boto3.client("route53").list_resource_record_sets(HostedZoneId=zone)
    (alias,) = [r for r in found["ResourceRecordSets"] if "AliasTarget" in r]
    assert (alias["Name"], alias["Type"]) == ("models.example.com.", "A")
    return alias["AliasTarget"]["DNSName"].rstrip(".")


def test_pulumi_alone_makes_it_from_a_clean_clone(tmp_path):
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)

    def pulumi(*words):
        done = subprocess.run(
            ["pulumi", *words, "--non-interactive", "-s", "aws-dev"],
            cwd=clone,
            check=False,
            capture_output=True,
            text=True,
            timeout=150,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    pulumi("stack", "select", "--create")
    assert re.search(r"\+ \d+ to create", pulumi("preview"))
    made = pulumi("up", "--yes")
    assert re.search(r"\+ \d+ created", made)
    assert "EKS cluster aws-dev" in leftovers()
    pulumi("preview", "--expect-no-changes")
    pulumi("destroy", "--yes", "--remove")
    _assert_nothing_is_left()
