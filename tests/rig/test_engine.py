"""Tests of errors from the engine.

Each error is one line without a traceback and has the right exit code; nothing hangs.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
from stack import project

pytestmark = pytest.mark.rig

FILE = "config:\n  raylift:target: kubernetes\n"
REFUSED = {
    "no backend": ({"PULUMI_BACKEND_URL": None}, 2, "no Pulumi state backend is"),
    "no passphrase": ({"PULUMI_CONFIG_PASSPHRASE": None}, 2, "is not set: secrets"),
    "an empty passphrase": ({"PULUMI_CONFIG_PASSPHRASE": ""}, 2, "is empty: secrets"),
    "an unreachable backend": (
        {
            "PULUMI_BACKEND_URL": "s3://none?region=us-east-1&endpoint=http://127.0.0.1:1"
        },
        4,
        "cannot reach the Pulumi state backend",
    ),
}


@pytest.fixture
def stack(rig, tmp_path):
    """Yield a stack that is not up."""
    with project(tmp_path / "project", "refused", FILE) as created:
        yield created


@pytest.mark.parametrize("case", REFUSED)
def test_a_missing_or_unreachable_backend_or_passphrase_is_reported(
    stack, monkeypatch, case
):
    environment, code, said = REFUSED[case]
    monkeypatch.setenv("PULUMI_HOME", str(stack.folder / "home"))
    for name, value in environment.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    for words in (["preview"], ["up", "--yes"]):
        assert said in stack.raylift(*words, code=code).stderr


def test_a_wrong_passphrase_is_reported_as_denied(stack, monkeypatch):
    stack.raylift("preview")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "another")
    for words in (["preview"], ["up", "--yes"], ["delete", "--yes"]):
        refused = stack.raylift(*words, code=8)
        assert "wrong passphrase for stack 'refused'" in refused.stderr
    monkeypatch.undo()


def test_a_missing_plugin_is_reported_with_the_command_to_install_it(
    stack, monkeypatch
):
    monkeypatch.setenv("PULUMI_HOME", str(stack.folder / "home"))
    refused = stack.raylift("preview", code=3)
    assert "the Pulumi plugin for kubernetes is not installed" in refused.stderr
    assert "pulumi plugin install resource kubernetes v" in refused.stderr


def _pulumi_cli(folder, text):
    """Write a Pulumi CLI that prints `text`; return a PATH that contains it."""
    folder.mkdir()
    script = folder / "pulumi"
    script.write_text(f"#!/bin/sh\necho {text}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_a_missing_or_old_pulumi_cli_is_reported(stack, monkeypatch):
    path = _pulumi_cli(stack.folder / "old", "v3.100.0")
    monkeypatch.setenv("PATH", path)
    refused = stack.raylift("preview", code=3)
    assert "the Pulumi CLI is version 3.100.0; 3.238.0 or newer" in refused.stderr
    without = [p for p in os.environ["PATH"].split(os.pathsep)[1:] if not _has(p)]
    monkeypatch.setenv("PATH", os.pathsep.join(without))
    refused = stack.raylift("preview", code=3)
    assert "the Pulumi CLI is not installed" in refused.stderr
    monkeypatch.undo()


def _has(folder):
    return Path(folder, "pulumi").exists()


def test_the_status_of_a_stack_that_is_not_up_needs_no_pulumi(stack, monkeypatch):
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file:///nowhere")
    monkeypatch.setenv("PATH", str(Path(shutil.which("raylift")).parent))
    refused = stack.raylift("status", code=3).stderr
    assert "stack 'refused' is not up in namespace 'ray' of context 'rig'" in refused


def test_a_typo_in_a_stack_name_creates_nothing(stack):
    (stack.folder / "stacks" / "Pulumi.refusd.yaml").unlink(missing_ok=True)
    refused = stack.run("raylift", "up", "--yes", "-s", "refusd", code=2)
    assert "did you mean refused?" in refused.stderr
    assert "refusd" not in stack.run("pulumi", "stack", "ls").stdout


def test_plain_pulumi_refuses_a_stack_of_target_local(stack):
    stack.run("pulumi", "stack", "init", "refused", "--no-select")
    stack.write("config:\n  raylift:target: local\n")
    refused = stack.run("pulumi", "preview", "-s", "refused", code=None)
    said = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "raylift:target: local is not supported by `pulumi up`" in said
    stack.write(FILE)


def test_an_aws_error_while_the_program_runs_is_one_line(rig, tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAYLIFT_CALLER_CIDR", "203.0.113.7/32")
    text = "config: {aws:region: us-west-2, raylift:target: aws}\n"
    with project(tmp_path / "project", "denied", text) as denied:
        refused = denied.raylift("preview", code=8)
        assert "error: AWS denied the request: invocation of aws:" in refused.stderr
        plain = denied.run("pulumi", "preview", "-s", "denied", code=None)
        assert plain.returncode
        assert "error: AWS denied the request: invocation of aws:" in plain.stdout
