"""checkov on the shipped stacks: all of its checks, but for those that are waived here.

It is a tool with a hundred dependencies of its own, so it has an environment of its
own: `make test-security` makes it.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import subprocess
from pathlib import Path

import plan
import pytest
from shipped import SHIPPED, recorded

pytestmark = pytest.mark.security

CHECKOV = Path(__file__).parents[2] / ".venv-checkov" / "bin" / "checkov"
# Each check that a shipped stack does not pass, and why it stays so.
WAIVED = {
    # What somebody could close further, at a price or with a key of their own.
    "CKV_AWS_39": "the public endpoint is for the addresses that the file names, or the"
    " caller's alone; publicAccessCidrs: [] closes it, for who has a way into the VPC",
    "CKV_AWS_18": "a bucket for the log of a bucket that the stack's own pods read;"
    " CloudTrail's data events say more, for who wants to know",
    # What checkov asks of a bucket for other ends than safety.
    "CKV_AWS_144": "packages are built from source again: no copy in a second region",
    "CKV2_AWS_62": "nobody waits for an event of the bucket",
    # What Ray's own images are.
    "CKV_K8S_22": "Ray writes to /tmp, and pip and models to the home folder",
    "CKV_K8S_40": "1000 owns the files of rayproject/ray",
    "CKV_K8S_43": "the default image is Ray's own by its version; ray.image takes a"
    " digest, and what is neither is warned of",
    "CKV_K8S_15": "a tag of a version does not move; each start would ask the registry",
}
# Those of checkov's checks that a stack is held to (waived or not): each must have had
# something to look at.
HELD = {
    *(f"CKV_AWS_{n}" for n in (37, 38, 39, 58, 100, 339)),  # EKS
    *(f"CKV_AWS_{n}" for n in (79, 88, 341)),  # launch templates
    *(f"CKV_AWS_{n}" for n in (7, 33, 158, 191, 338)),  # the key, and what it encrypts
    *(f"CKV_AWS_{n}" for n in (18, 21, 53, 54, 55, 56, 145)),  # S3
    *(f"CKV_K8S_{n}" for n in (*range(8, 15), 16, 19, 20, 22, 23)),
    *(f"CKV_K8S_{n}" for n in (28, 29, 30, 31, 37, 38, 40, 43)),
    "CKV2_AWS_6",
    "CKV2_AWS_11",
    "CKV2_AWS_61",
    "CKV2_AWS_64",
    "CKV2_K8S_6",
}


def _pod(inputs):
    cluster = inputs["spec"]["rayClusterConfig"]
    return cluster["workerGroupSpecs"][0]["template"]["spec"]


def _hardening(inputs):
    return _pod(inputs)["containers"][0]["securityContext"]


# What is done to a resource of aws-prod, and the check that must fail then.
FAULTS = {
    "CKV_AWS_38": (
        "cluster",
        "eks/cluster:Cluster",
        lambda i: i["vpcConfig"].update(publicAccessCidrs=["0.0.0.0/0"]),
    ),
    "CKV_AWS_37": (
        "cluster",
        "eks/cluster:Cluster",
        lambda i: i.update(enabledClusterLogTypes=["api"]),
    ),
    "CKV_AWS_58": (
        "cluster",
        "eks/cluster:Cluster",
        lambda i: i.pop("encryptionConfig"),
    ),
    "CKV_AWS_7": ("key", "kms/key:Key", lambda i: i.pop("enableKeyRotation")),
    "CKV_AWS_33": (
        "key",
        "kms/key:Key",
        lambda i: i.update(
            policy='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow",'
            ' "Principal": "*", "Action": "kms:*", "Resource": "*"}]}'
        ),
    ),
    "CKV_AWS_338": (
        "flow-logs",
        "LogGroup",
        lambda i: i.update(retentionInDays=14),
    ),
    "CKV_AWS_79": (
        "l4-template",
        "LaunchTemplate",
        lambda i: i["metadataOptions"].update(httpTokens="optional"),
    ),
    "CKV_AWS_341": (
        "l4-template",
        "LaunchTemplate",
        lambda i: i["metadataOptions"].update(httpPutResponseHopLimit=2),
    ),
    "CKV_AWS_53": (
        "packages",
        "BucketPublicAccessBlock",
        lambda i: i.update(blockPublicAcls=False),
    ),
    "CKV_AWS_29": (
        "gcs",
        "ReplicationGroup",
        lambda i: i.update(atRestEncryptionEnabled=False),
    ),
    "CKV_AWS_30": (
        "gcs",
        "ReplicationGroup",
        lambda i: i.update(transitEncryptionEnabled=False),
    ),
    "CKV_AWS_100": (
        "l4",
        "NodeGroup",
        lambda i: i.update(remoteAccess={"ec2SshKey": "me"}),
    ),
    "CKV_AWS_62": (
        "ray",
        "RolePolicy",
        lambda i: i.update(
            policy='{"Version": "2012-10-17", "Statement":'
            ' [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
        ),
    ),
    "CKV_K8S_16": (
        "ray-service",
        ":RayService",
        lambda i: _hardening(i).update(privileged=True),
    ),
    "CKV_K8S_20": (
        "ray-service",
        ":RayService",
        lambda i: _hardening(i).update(allowPrivilegeEscalation=True),
    ),
    "CKV_K8S_19": (
        "ray-service",
        ":RayService",
        lambda i: _pod(i).update(hostNetwork=True),
    ),
    "CKV_K8S_17": (
        "ray-service",
        ":RayService",
        lambda i: _pod(i).update(hostPID=True),
    ),
    "CKV_K8S_31": (
        "ray-service",
        ":RayService",
        lambda i: (
            _hardening(i).pop("seccompProfile"),
            _pod(i)["securityContext"].pop("seccompProfile"),
        ),
    ),
    "CKV2_K8S_6": (
        "ray-service",
        ":RayService",
        lambda i: [
            group["template"]["metadata"]["labels"].pop("raylift.io/stack")
            for group in i["spec"]["rayClusterConfig"]["workerGroupSpecs"]
        ],
    ),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What checkov says of each stack and of each fault.

    A run for each stack: within one run it would take the policies of one stack, and
    what closes a bucket, for those of another.
    """
    found = {}
    for name in SHIPPED:
        folder = tmp_path_factory.mktemp(name)
        _write(folder / name, recorded(name))
        found |= _scan(folder)
    folder = tmp_path_factory.mktemp("faults")
    for check, fault in FAULTS.items():
        _write(folder / check, _with(*fault))
    return found | _scan(folder)


def _write(folder: Path, program) -> None:
    folder.mkdir()
    told = plan.plan(program)
    if told["resource_changes"]:
        (folder / "plan.json").write_text(json.dumps(told), encoding="utf-8")
    objects = map(json.dumps, plan.manifests(program))
    (folder / "objects.yaml").write_text("\n---\n".join(objects), encoding="utf-8")


def _with(name, kind, change):
    program = recorded("aws-prod")
    resource = program.one(name, kind)
    inputs = json.loads(json.dumps(resource.inputs))
    change(inputs)
    changed = dataclasses.replace(resource, inputs=inputs)
    return dataclasses.replace(
        program, resources={**program.resources, resource.urn: changed}
    )


def _scan(folder: Path) -> dict:
    """Ids of checks by folder and by outcome, each with what it was said of."""
    command = [CHECKOV, "-d", folder, "--framework", "kubernetes", "terraform_plan"]
    command += ["--skip-download", "--soft-fail", "--output", "json"]
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "LOG_LEVEL": "ERROR"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = collections.defaultdict(lambda: collections.defaultdict(set))
    reports = json.loads(done.stdout)
    for report in reports if isinstance(reports, list) else [reports]:
        assert report["summary"]["parsing_errors"] == 0
        for outcome in ("passed", "failed", "skipped"):
            for check in report["results"][f"{outcome}_checks"]:
                _, stack, _ = check["file_path"].split("/")
                named = (check["check_id"], check["resource"])
                said[stack][outcome].add(named)
    return said


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_stack_fails_no_check_but_those_waived(said, name):
    failed = {found for found in said[name]["failed"] if found[0] not in WAIVED}
    assert failed == set()
    assert said[name]["skipped"] == set()


def test_nothing_is_waived_that_no_stack_fails(said):
    assert WAIVED.keys() == {
        check for name in SHIPPED for check, _ in said[name]["failed"]
    }


def test_every_check_that_is_held_had_something_to_look_at(said):
    looked = {
        check
        for name in SHIPPED
        for outcome in ("passed", "failed")
        for check, _ in said[name][outcome]
    }
    assert looked >= HELD


@pytest.mark.parametrize("check", FAULTS)
def test_checkov_sees_a_fault(said, check):
    """So the plan and the manifests say to checkov what the program said to Pulumi."""
    before = said["aws-prod"]["failed"]
    assert check in {named for named, _ in said[check]["failed"] - before}
