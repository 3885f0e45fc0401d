"""Tests that run checkov on the shipped stacks.

Every check must pass, except those in `WAIVED`. checkov has about a hundred
dependencies, so it runs in a separate environment, which `make test-security` creates.
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
# Each check that a shipped stack does not pass, with the reason.
WAIVED = {
    # Restrictions that a user can add, at a cost or with access to the VPC.
    "CKV_AWS_39": "the public endpoint accepts only the addresses in the stack file or,"
    " by default, the caller's; publicAccessCidrs: [] removes it, but then access to"
    " the VPC is required",
    "CKV_AWS_18": "access logs need a second bucket, and only the stack's pods read"
    " this one; CloudTrail data events provide more detail if needed",
    # Checks of a bucket that do not concern security.
    "CKV_AWS_144": "packages can be rebuilt from source, so no copy in a second region"
    " is needed",
    "CKV2_AWS_62": "nothing consumes the events of the bucket",
    # Properties of Ray's images.
    "CKV_K8S_22": "the root file system must be writable: Ray writes to /tmp; pip and"
    " model downloads write to the home folder",
    "CKV_K8S_40": "user 1000 owns the files in the image rayproject/ray",
    "CKV_K8S_43": "the default image is pinned by Ray's version; ray.image accepts a"
    " digest, and raylift warns if an image is pinned by neither",
    "CKV_K8S_15": "version tags do not change, and imagePullPolicy: Always would"
    " contact the registry at each start",
    # A property of the package store.
    "CKV_K8S_35": "the server reads its token once, when it starts, and its pod runs no"
    " code of users",
}
# Checks that must apply to at least one resource, whether waived or not.
REQUIRED = {
    *(f"CKV_AWS_{n}" for n in (37, 38, 39, 58, 100, 339)),  # EKS
    *(f"CKV_AWS_{n}" for n in (79, 88, 341)),  # launch templates
    *(f"CKV_AWS_{n}" for n in (7, 33, 158, 191, 338)),  # key, and data it encrypts
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


# A change to a resource of aws-prod for each check that must then fail.
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
def findings(tmp_path_factory):
    """Return checkov's findings for each stack and each fault.

    Each stack needs a separate run. In one run, checkov would attribute the policies
    and bucket settings of one stack to another.
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
    terraform = plan.plan(program)
    if terraform["resource_changes"]:
        (folder / "plan.json").write_text(json.dumps(terraform), encoding="utf-8")
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
    """Return (check ID, resource) pairs by folder and outcome."""
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
    findings = collections.defaultdict(lambda: collections.defaultdict(set))
    reports = json.loads(done.stdout)
    for report in reports if isinstance(reports, list) else [reports]:
        assert report["summary"]["parsing_errors"] == 0
        for outcome in ("passed", "failed", "skipped"):
            for check in report["results"][f"{outcome}_checks"]:
                _, stack, _ = check["file_path"].split("/")
                finding = (check["check_id"], check["resource"])
                findings[stack][outcome].add(finding)
    return findings


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_stack_fails_only_waived_checks(findings, name):
    failed = {found for found in findings[name]["failed"] if found[0] not in WAIVED}
    assert failed == set()
    assert findings[name]["skipped"] == set()


def test_every_waived_check_fails_for_a_stack(findings):
    assert WAIVED.keys() == {
        check for name in SHIPPED for check, _ in findings[name]["failed"]
    }


def test_every_required_check_applies_to_a_resource(findings):
    applied = {
        check
        for name in SHIPPED
        for outcome in ("passed", "failed")
        for check, _ in findings[name][outcome]
    }
    assert applied >= REQUIRED


@pytest.mark.parametrize("check", FAULTS)
def test_checkov_reports_a_fault(findings, check):
    """This verifies that the plan and the manifests represent the program."""
    before = findings["aws-prod"]["failed"]
    assert check in {name for name, _ in findings[check]["failed"] - before}
