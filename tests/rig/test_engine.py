"""What the engine refuses: a line each, no traceback, no hang, the right exit code."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from stack import project

pytestmark = pytest.mark.rig

FILE = "config:\n  raylift:target: kubernetes\n"
REFUSED = {
    "no place for the state": ({"PULUMI_BACKEND_URL": None}, 2, "no place is chosen"),
    "no passphrase": ({"PULUMI_CONFIG_PASSPHRASE": None}, 2, "is not set: secrets"),
    "an empty passphrase": ({"PULUMI_CONFIG_PASSPHRASE": ""}, 2, "is empty: secrets"),
    "a backend that is not there": (
        {
            "PULUMI_BACKEND_URL": "s3://none?region=us-east-1&endpoint=http://127.0.0.1:1"
        },
        4,
        "the place of Pulumi's state does not answer",
    ),
}


@pytest.fixture
def stack(rig, tmp_path):
    """A stack that nobody has raised."""
    with project(tmp_path / "project", "refused", FILE) as made:
        yield made


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_chosen_is_asked_for(stack, monkeypatch, case):
    environment, code, said = REFUSED[case]
    monkeypatch.setenv("PULUMI_HOME", str(stack.folder / "home"))
    for name, value in environment.items():
        if value is None:
            monkeypatch.delenv(name)
        else:
            monkeypatch.setenv(name, value)
    for words in (["preview"], ["up", "--yes"]):
        assert said in stack.raylift(*words, code=code).stderr


def test_a_wrong_passphrase_is_a_denial(stack, monkeypatch):
    stack.raylift("preview")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "another")
    for words in (["preview"], ["up", "--yes"], ["delete", "--yes"]):
        refused = stack.raylift(*words, code=8)
        assert "the passphrase does not fit stack 'refused'" in refused.stderr
    monkeypatch.undo()


def test_a_plugin_that_is_missing_is_named_with_its_command(stack, monkeypatch):
    monkeypatch.setenv("PULUMI_HOME", str(stack.folder / "home"))
    refused = stack.raylift("preview", code=3)
    assert "Pulumi's plugin for kubernetes is not installed" in refused.stderr
    assert "pulumi plugin install resource kubernetes v" in refused.stderr


def _pulumi_that_says(folder, text):
    """A command line of another version."""
    folder.mkdir()
    script = folder / "pulumi"
    script.write_text(f"#!/bin/sh\necho {text}\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_a_command_line_that_is_missing_or_old_is_told(stack, monkeypatch):
    path = _pulumi_that_says(stack.folder / "old", "v3.100.0")
    monkeypatch.setenv("PATH", path)
    refused = stack.raylift("preview", code=3)
    assert "Pulumi's command line is 3.100.0; 3.238.0 or newer" in refused.stderr
    without = [p for p in os.environ["PATH"].split(os.pathsep)[1:] if not _has(p)]
    monkeypatch.setenv("PATH", os.pathsep.join(without))
    refused = stack.raylift("preview", code=3)
    assert "Pulumi's command line is not installed" in refused.stderr
    monkeypatch.undo()


def _has(folder):
    return Path(folder, "pulumi").exists()


def test_a_typo_in_a_name_makes_nothing(stack):
    (stack.folder / "stacks" / "Pulumi.refusd.yaml").unlink(missing_ok=True)
    refused = stack.run("raylift", "up", "--yes", "-s", "refusd", code=2)
    assert "did you mean refused?" in refused.stderr
    assert "refusd" not in stack.run("pulumi", "stack", "ls").stdout


def test_a_name_of_target_local_is_told_by_pulumi_up_in_one_line(stack):
    stack.run("pulumi", "stack", "init", "refused", "--no-select")
    stack.write("config:\n  raylift:target: local\n")
    refused = stack.run("pulumi", "preview", "-s", "refused", code=None)
    said = refused.stdout + refused.stderr
    assert refused.returncode != 0
    assert "local is this machine, where Pulumi has nothing to do" in said
    stack.write(FILE)


def test_what_aws_refuses_while_the_program_runs_is_one_line(
    rig, tmp_path, monkeypatch
):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("RAYLIFT_CALLER_CIDR", "203.0.113.7/32")
    text = "config: {aws:region: us-west-2, raylift:target: aws}\n"
    with project(tmp_path / "project", "denied", text) as made:
        refused = made.raylift("preview", code=8)
        assert "error: AWS refuses: invocation of aws:" in refused.stderr
        plain = made.run("pulumi", "preview", "-s", "denied", code=None)
        assert plain.returncode
        assert "error: AWS refuses: invocation of aws:" in plain.stdout
