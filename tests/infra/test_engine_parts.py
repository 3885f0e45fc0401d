"""Parts of infra.engine and infra.aws that need no engine: texts, events, tokens."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import urllib.parse

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from project import wait_until
from pulumi.automation import CommandResult
from pulumi.automation.errors import CommandError
from pulumi.automation.events import StepEventMetadata

from raylift.errors import (
    FailedPrecondition,
    InvalidInput,
    PermissionDenied,
    RayliftError,
    Unreachable,
)
from raylift.infra.aws.account import Account, caller_cidr
from raylift.infra.aws.eks_token import credential
from raylift.infra.aws.subnets import share_out
from raylift.infra.engine.backend import backend_of, environment
from raylift.infra.engine.operation import translate_error
from raylift.infra.engine.progress import EngineProgress
from raylift.infra.engine.stale_lock import holder_of

LOCKED = (
    "error: the stack is currently locked by 1 lock(s). Either wait for the other"
    " process(es) to end or delete the lock file with `pulumi cancel`.\n"
    "  file:///s/.pulumi/locks/organization/p/demo/1.json: created by"
    " {user}@{host} (pid {pid}) at 2026-11-25T10:02:00Z"
)


def test_a_lock_names_its_holder_and_its_age():
    holder = holder_of(LOCKED.format(user="ann", host="laptop", pid=4120))
    assert (holder.user, holder.host, holder.pid) == ("ann", "laptop", 4120)
    assert str(holder).startswith("ann@laptop (pid 4120) since 2026-11-25T10:02:00Z (")
    assert str(holder).endswith(" min ago)")
    assert holder_of("error: something else") is None


def test_only_a_process_of_this_machine_is_known_to_be_dead():
    here, gone = socket.gethostname(), 2**22 + 1
    assert holder_of(LOCKED.format(user="a", host=here, pid=gone)).is_dead()
    assert not holder_of(LOCKED.format(user="a", host=here, pid=os.getpid())).is_dead()
    assert not holder_of(LOCKED.format(user="a", host="laptop", pid=gone)).is_dead()


def test_a_holder_that_is_a_zombie_is_dead():
    ended = subprocess.Popen(["true"])
    holder = holder_of(
        LOCKED.format(user="a", host=socket.gethostname(), pid=ended.pid)
    )
    wait_until(holder.is_dead, seconds=10)
    assert psutil.pid_exists(ended.pid)
    ended.wait()


def _event(op, diffs=(), detailed=None):
    kind = "aws:ec2/vpc:Vpc"
    urn = f"urn:pulumi:demo::raylift::{kind}::vpc"
    changes = {
        "op": op,
        "urn": urn,
        "type": kind,
        "provider": "",
        "diffs": list(diffs),
        "detailedDiff": {
            path: {"diffKind": kind} for path, kind in (detailed or {}).items()
        },
    }
    return StepEventMetadata.from_json(changes)


def test_a_replacement_is_one_change_with_its_reason():
    steps = EngineProgress()
    steps.begin(_event("create-replacement", diffs=["cidrBlock"]))
    steps.begin(_event("replace", diffs=["cidrBlock"]))
    steps.begin(_event("delete-replaced"))
    (change,) = steps.changes()
    assert (change.action, change.what) == ("replace", "aws:ec2/vpc:Vpc vpc")
    assert change.reason == "cidrBlock"


@pytest.mark.parametrize(
    ("detailed", "reason"),
    [
        (
            {"spec.replicas": "update", "spec.selector": "update-replace"},
            "spec.selector",
        ),
        ({"spec.replicas": "update", "data": "add"}, "spec.replicas, data"),
    ],
)
def test_a_detailed_difference_names_the_inputs(detailed, reason):
    steps = EngineProgress()
    steps.begin(_event("replace", detailed=detailed))
    (change,) = steps.changes()
    assert change.reason == reason


@pytest.mark.parametrize("op", ["same", "read", "refresh"])
def test_an_operation_without_changes_is_not_a_step(op):
    steps = EngineProgress()
    steps.begin(_event(op))
    assert steps.changes() == []
    assert steps.end(_event(op).urn) is None
    assert steps.slowest() == ""


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A project without a configured backend."""
    (tmp_path / "Pulumi.yaml").write_text("name: raylift\nruntime: python\n")
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    return tmp_path


def test_the_backend_comes_from_environment_project_or_last_login(root, monkeypatch):
    assert backend_of(root) == ""
    (root / "home").mkdir()
    (root / "home" / "credentials.json").write_text('{"current": "file:///login"}')
    assert backend_of(root) == "file:///login"
    project = "name: raylift\nruntime: python\nbackend: {url: s3://project}\n"
    (root / "Pulumi.yaml").write_text(project)
    assert backend_of(root) == "s3://project"
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://environment")
    assert backend_of(root) == "s3://environment"


def test_an_empty_passphrase_is_rejected_without_a_secrets_provider(root, monkeypatch):
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///x")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
    file = root / "Pulumi.demo.yaml"
    file.write_text("config: {}\n")
    with pytest.raises(InvalidInput, match="PASSPHRASE is empty"):
        environment(root, file)
    file.write_text("secretsprovider: awskms://alias/x\nconfig: {}\n")
    assert environment(root, file)["PULUMI_SKIP_UPDATE_CHECK"] == "true"


@given(st.integers(min_value=16, max_value=20), st.integers(min_value=1, max_value=3))
def test_subnets_lie_in_their_vpc_and_do_not_overlap(prefix, count):
    import ipaddress
    import itertools

    block = ipaddress.IPv4Network(f"10.0.0.0/{prefix}")
    zones = ["a", "b", "c"][:count]
    shared = share_out(str(block), zones)
    assert [blocks.zone for blocks in shared] == zones
    parts = [
        ipaddress.IPv4Network(part)
        for blocks in shared
        for part in (blocks.private, blocks.public, blocks.control_plane)
    ]
    assert all(part.subnet_of(block) for part in parts)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(parts, 2))
    assert all(part.prefixlen <= 28 for part in parts)


def test_the_callers_address_can_be_set(monkeypatch):
    monkeypatch.setenv("RAYLIFT_CALLER_CIDR", "203.0.113.7/32")
    assert caller_cidr() == "203.0.113.7/32"
    monkeypatch.setenv("RAYLIFT_CALLER_CIDR", "nonsense")
    with pytest.raises(
        InvalidInput,
        match="publicAccessCidrs: cannot determine your public IP address",
    ):
        caller_cidr()


def test_a_token_is_a_signed_request_for_one_cluster(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "never shown")
    found = credential("demo", region="us-west-2", profile=None)
    text = found["status"]["token"].removeprefix("k8s-aws-v1.")
    url = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    parts = urllib.parse.urlsplit(url)
    query = urllib.parse.parse_qs(parts.query)
    assert parts.hostname == "sts.us-west-2.amazonaws.com"
    assert query["Action"] == ["GetCallerIdentity"]
    assert "x-k8s-aws-id" in query["X-Amz-SignedHeaders"][0].split(";")
    assert "never shown" not in str(found)


def test_missing_credentials_raise_permission_denied(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(PermissionDenied, match="no AWS credentials"):
        credential("demo", region="us-west-2", profile=None)


def test_the_tree_shows_running_steps_and_counts_by_kind():
    from raylift.cli.output.stack import tree

    steps = EngineProgress()
    planned = {"aws:ec2": 2, "aws:eks": 1}

    def rows():
        return [row.plain for row in tree(steps.now(), planned).renderables]

    assert rows() == ["aws:ec2  0 of 2", "aws:eks  0 of 1"]
    steps.begin(_event("create"))
    assert rows() == ["aws:ec2  0 of 2", "     0 s  Vpc vpc", "aws:eks  0 of 1"]
    steps.end(_event("create").urn)
    assert rows() == ["aws:ec2  1 of 2", "aws:eks  0 of 1"]
    planned.clear()  # a delete has no plan
    assert rows() == []


@pytest.mark.parametrize(
    "reason",
    [
        "kuberay-operator: Get https://charts.example/index.yaml: no such host",
        "packages: operation error S3: CreateBucket: 403 AccessDenied",
    ],
)
def test_a_failed_resource_is_not_reported_as_a_backend_failure(reason):
    """The CLI repeats the engine's errors about resources."""
    failed = CommandError(CommandResult(f"error: {reason}", "", 255))
    assert type(translate_error(failed, "demo", [reason])) is RayliftError
    assert str(translate_error(failed, "demo", [reason])) == reason
    assert isinstance(translate_error(failed, "demo"), Unreachable)


def test_an_unreachable_chart_repository_is_named_with_the_way_out():
    reason = (
        'kubernetes:helm.sh/v3:Release resource "kuberay-operator": looks like'
        ' "https://charts.example/kuberay/" is not a valid chart repository or cannot'
        " be reached: no such host"
    )
    failed = CommandError(CommandResult(f"error: {reason}", "", 255))
    error = translate_error(failed, "demo", ["preview failed", reason])
    assert isinstance(error, Unreachable)
    assert (
        str(error) == "cannot reach the Helm repository https://charts.example/kuberay/"
    )
    assert "raylift:ray.operator.install to false" in error.hint


def test_several_reasons_are_one_line():
    failed = CommandError(CommandResult("error: x", "", 255))
    assert str(translate_error(failed, "demo", ["a", "b", "a"])) == "a; b"


FAILED = (
    "invoke of aws:ec2/getVpc failed: invocation of aws:ec2/getVpc returned an error: "
)


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        ("ExpiredToken: the token is expired", PermissionDenied),
        ("NoCredentialsError: Unable to locate credentials", PermissionDenied),
        ("UnauthorizedOperation: You are not authorized", PermissionDenied),
        ("RequestLimitExceeded: slow down", FailedPrecondition),
    ],
)
def test_a_failed_aws_lookup_is_reported_in_one_line(reason, error):
    def question(**_):
        raise Exception(FAILED + reason)  # noqa: TRY002 as Pulumi does

    with pytest.raises(error, match=reason) as caught:
        Account("demo", None, None).call(question, id="vpc-1")
    assert "invoke of" not in str(caught.value)


def test_a_completed_step_is_printed_as_a_line_or_as_json(capsys):
    from raylift.cli.output.terminal import say, say_json

    steps = EngineProgress()
    steps.begin(_event("create"))
    done = steps.end(_event("create").urn)
    say(done)
    say_json(done)
    say_json("waiting for the head")
    line, parts, message = capsys.readouterr().err.splitlines()
    assert line == "created aws:ec2/vpc:Vpc vpc (0.0 s)"
    expected = {"action": "created", "kind": "aws:ec2/vpc:Vpc", "name": "vpc"}
    assert json.loads(parts) == expected | {"seconds": 0.0}
    assert json.loads(message) == {"message": "waiting for the head"}
