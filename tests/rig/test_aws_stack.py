"""Tests of the shipped stacks of target `aws`.

They are created, updated, interrupted and deleted. The engine, the program and the API
server are real; the providers and AWS are doubles.
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
import psutil
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
KILL_ROUNDS = int(os.environ.get("RAYLIFT_KILL_ROUNDS", "1"))
"""Ten kills each; `make test-kills` has ten rounds."""


@pytest.fixture(scope="module", autouse=True)
def cloud(rig):
    """Provide an account that contains only the system node that EKS would start."""
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
    ) as created:
        yield created


def _assert_nothing_is_left():
    assert leftovers() == []
    assert objects(KINDS, "--all-namespaces", "-l", "raylift.io/stack") == []


def _assert_created_once():
    created = [line.rpartition(" ")[0] for line in leftovers()]
    once = ("VPC", "EKS cluster", "address", "NAT gateway", "flow log", "bucket")
    once += ("key", "alias")
    assert [created.count(kind) for kind in once] == [1] * len(once), created
    assert created.count("log group") == 2, created


def _assert_settled(stack):
    """Assert that another run is a no-op, before and after a refresh."""
    assert "nothing to do" in stack.raylift("up").stderr
    stack.run("pulumi", "refresh", "--yes", "-s", stack.name)
    assert "nothing to do" in stack.raylift("preview").stderr


def _killed(stack, verb, seconds):
    """Start a run and kill it with SIGKILL at a random moment.

    The moment is at most `seconds` after the first completed operation. Return False if
    the run ended before that.
    """
    running = stack.start(verb, "--yes")
    said = _until_said(
        running, r"(created|deleted|waiting for|stack) |an interrupted run was|nothing"
    )
    with contextlib.suppress(subprocess.TimeoutExpired):
        running.wait(MOMENTS.uniform(0, seconds))
    return _kill(running, said) == -signal.SIGKILL


def _killed_pulumi(stack):
    """Kill a plain `pulumi up` as soon as it creates resources.

    Before that, release the lock of the killed run: plain Pulumi does not do so.
    """
    name = ("-s", stack.name)
    refused = stack.run("pulumi", "up", "--yes", *name, code=None)
    assert "currently locked" in refused.stdout + refused.stderr
    stack.run("pulumi", "cancel", "--yes", *name)
    words = ("--yes", "--skip-preview", "--non-interactive")
    running = stack.spawn("pulumi", "up", *words, *name)
    said = _until_said(running, r".* creat(ing|ed) \(")
    assert _kill(running, said) == -signal.SIGKILL


def _kill(running, said=""):
    """Return the exit status: 0 if the run completed before the signal reached it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    said += running.communicate(timeout=30)[0]
    assert running.returncode in (0, -signal.SIGKILL), said
    assert "Traceback" not in said, said
    time.sleep(3)  # the plugins complete the calls that they have started
    return running.returncode


def _kill_with_plugins(running):
    """Kill a run with its plugins, which would complete what they have begun."""
    plugins = psutil.Process(running.pid).children(recursive=True)
    status = _kill(running)
    for plugin in plugins:
        with contextlib.suppress(psutil.NoSuchProcess):
            plugin.kill()
    return status


def _releases(api):
    """Return Helm's status of each release in the cluster."""
    found = api.items("/api/v1/secrets?labelSelector=owner%3Dhelm")
    labels = [secret["metadata"]["labels"] for secret in found]
    return {each["name"]: each["status"] for each in labels}


def _wait_for_chart(api, status):
    wait_until(lambda: _releases(api).get("kuberay-operator") == status, every=0.02)


def _until_said(running, pattern):
    said = ""
    for line in running.stdout:
        said += line
        if re.match(pattern, line):
            return said
    pytest.fail(said)


@pytest.fixture
def slowly(monkeypatch):
    """Slow down AWS, so that a kill interrupts it."""
    with monkeypatch.context() as patch:
        patch.setenv("AWSFAKE_SECONDS", "2")
        yield patch


@contextlib.contextmanager
def _no_new_pods():
    """Let no pod start, so that Helm waits for those of a chart."""
    kubectl("cordon", "--selector=kubernetes.io/hostname")
    try:
        yield
    finally:
        kubectl("uncordon", "--selector=kubernetes.io/hostname")


@pytest.mark.long
def test_one_up_recovers_from_runs_killed_at_random_moments(dev, slowly):
    """Each `up` resumes after a killed `up` or a killed `delete`."""
    verbs = KILL_ROUNDS * (["up"] * 7 + ["delete"] * 3)
    killed = [_killed(dev, verb, seconds=4) for verb in verbs]
    # The others ended before the kill.
    assert killed.count(True) >= len(verbs) / 3, killed
    slowly.undo()
    dev.raylift("up", "--yes")
    _assert_created_once()
    _assert_settled(dev)
    assert "deleted stack" in dev.raylift("delete", "--yes").stdout
    _assert_nothing_is_left()


@pytest.mark.long
def test_up_recovers_from_a_killed_chart_installation_and_a_killed_plain_pulumi_up(
    dev, api, slowly
):
    assert _killed(dev, "up", seconds=2)
    _killed_pulumi(dev)
    with _no_new_pods():
        running = dev.start("up", "--yes")
        _wait_for_chart(api, "pending-install")
        assert _kill_with_plugins(running) == -signal.SIGKILL
    slowly.undo()
    dev.raylift("up", "--yes")
    assert set(_releases(api).values()) == {"deployed"}
    _assert_created_once()
    _assert_settled(dev)


@pytest.mark.long
def test_up_recovers_from_a_killed_chart_upgrade(dev, api):
    """This also holds if the stack file was reverted after the kill."""
    dev.raylift("up", "--yes")
    text = dev.file.read_text(encoding="utf-8")
    gates = "[{name: RayMultiHostIndexing, enabled: true}]"
    changed = f"  raylift:ray: {{operator: {{featureGates: {gates}}}}}\n"
    target = "  raylift:target: aws\n"
    dev.write(text.replace(target, target + changed))
    with _no_new_pods():
        running = dev.start("up", "--yes")
        _wait_for_chart(api, "pending-upgrade")
        assert _kill_with_plugins(running) == -signal.SIGKILL
    dev.write(text)
    said = dev.raylift("up", "--yes").stdout
    assert "change kubernetes:helm.sh/v3:Release kuberay-operator" in said
    assert set(_releases(api).values()) == {"deployed"}
    _assert_settled(dev)


def test_deploy_reports_why_the_scheduler_cannot_place_a_gpu_replica(dev, rig):
    """This uses the stack's kubeconfig; no node of the GPU group starts in the rig."""
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
    assert "a replica is waiting for 1 CPU (0 free), 1 GPU (0 free); pod " in said
    assert re.search(r"0/\d+ nodes are available: \d", said)
    assert json.loads(dev.raylift("status", "--json").stdout)["applications"] == []


@pytest.mark.long
def test_a_change_of_the_stack_file_updates_only_the_affected_resources(dev):
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


@pytest.mark.long
def test_another_key_is_refused_because_it_would_replace_the_cluster(dev):
    text = dev.file.read_text(encoding="utf-8")
    target = "  raylift:target: aws\n"
    mine = "  raylift:kmsKeyArn: arn:aws:kms:us-west-2:123456789012:key/mine\n"
    dev.write(text.replace(target, target + mine))
    refused = dev.raylift("up", "--yes", code=3)
    assert "would be replaced and its data lost" in refused.stderr
    dev.write(text)


@pytest.mark.long
def test_delete_recovers_from_a_killed_delete(dev, api, slowly):
    running = dev.start("delete", "--yes")
    _wait_for_chart(api, "uninstalling")
    assert _kill(running) == -signal.SIGKILL
    assert "kuberay-operator" not in _releases(api)  # but it is still in the state
    running = dev.start("delete", "--yes")
    _kill(running, _until_said(running, "deleted aws:eks/nodeGroup"))
    assert "deleted stack" in dev.raylift("delete", "--yes").stdout
    _assert_nothing_is_left()
    assert _releases(api) == {}


@pytest.mark.long
def test_a_protected_stack_is_deleted_only_without_deletion_protection(tmp_path):
    iam = boto3.client("iam")
    iam.create_role(RoleName="platform", AssumeRolePolicyDocument="{}")
    text = _shipped("aws-prod")
    with project(tmp_path, "aws-prod", text) as prod:
        _up_without_a_head(prod)
        assert "nothing to do" in prod.raylift("preview").stderr
        refused = prod.raylift("delete", "--yes", code=3)
        assert "raylift:protection.deletionProtection protects" in refused.stderr
        assert "set it to false, run `raylift up -s aws-prod`" in refused.stderr
        assert "deletionProtection: true" in text
        prod.write(
            text.replace("deletionProtection: true", "deletionProtection: false")
        )
        _up_without_a_head(prod)
        assert "deleted stack" in prod.raylift("delete", "--yes").stdout
    iam.delete_role(RoleName="platform")
    _assert_nothing_is_left()


def _up_without_a_head(stack):
    """Run `up` until it waits for the head, which needs a Redis that moto lacks."""
    running = stack.start("up", "--yes")
    said = _until_said(running, "waiting for")
    running.send_signal(signal.SIGINT)
    said += running.communicate(timeout=30)[0]
    assert running.returncode == 130, said


@pytest.mark.long
def test_the_dns_record_follows_the_load_balancer_when_it_is_replaced(tmp_path):
    dns = boto3.client("route53")
    zone = dns.create_hosted_zone(Name="example.com", CallerReference="rig")
    ident = zone["HostedZone"]["Id"].rpartition("/")[2]
    ingress = f"{{type: alb, host: models.example.com, hostedZoneId: {ident}}}"
    text = f"{_shipped('aws-dev')}  raylift:ingress: {ingress}\n"
    public = "scheme: internet-facing, allowedCidrs: [203.0.113.0/24]"
    with project(tmp_path, "aws-zone", text) as stack:
        with _load_balancer("first.example"):
            stack.raylift("up", "--yes")
        assert _alias_target(ident) == "first.example"
        _assert_settled(stack)
        stack.write(text.replace("type: alb", f"type: alb, {public}"))
        with _load_balancer("second.example"):
            said = stack.raylift("up", "--yes").stdout
        assert "replace kubernetes:networking.k8s.io/v1:Ingress ingress" in said
        assert _alias_target(ident) == "second.example"
        assert "deleted stack" in stack.raylift("delete", "--yes").stdout
    _assert_nothing_is_left()
    dns.delete_hosted_zone(Id=ident)


@contextlib.contextmanager
def _load_balancer(name):
    """Act as the load balancer controller for the next Ingress without a host name."""
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


def _alias_target(zone):
    found = boto3.client("route53").list_resource_record_sets(HostedZoneId=zone)
    (alias,) = [r for r in found["ResourceRecordSets"] if "AliasTarget" in r]
    assert (alias["Name"], alias["Type"]) == ("models.example.com.", "A")
    return alias["AliasTarget"]["DNSName"].rstrip(".")


@pytest.mark.long
def test_plain_pulumi_creates_and_destroys_a_stack_from_a_clean_clone(tmp_path):
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
    assert re.search(r"\+ \d+ created", pulumi("up", "--yes"))
    assert "EKS cluster aws-dev" in leftovers()
    pulumi("preview", "--expect-no-changes")
    pulumi("destroy", "--yes", "--remove")
    _assert_nothing_is_left()
