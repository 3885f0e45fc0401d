"""Test of `pulumi up` with a Python program and the double of the language host."""

from __future__ import annotations

import subprocess

import pytest
from kube import objects

pytestmark = pytest.mark.rig

PROJECT = "{name: hosted, runtime: python, main: infra, stackConfigDir: stacks}"
PROGRAM = """
import pulumi
import pulumi_kubernetes as k8s

config = pulumi.Config()
metadata = {"name": "hosted", "namespace": config.require("namespace")}
k8s.core.v1.ConfigMap("it", metadata=metadata, data={"a": config.require("a")})
"""


def test_a_program_gets_its_configuration_and_is_created_and_destroyed(
    namespace, tmp_path
):
    for folder in ("infra", "stacks"):
        (tmp_path / folder).mkdir()
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    (tmp_path / "infra" / "__main__.py").write_text(PROGRAM)

    def pulumi(*words):
        done = subprocess.run(
            ["pulumi", *words, "--non-interactive", "-s", "dev"],
            cwd=tmp_path,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    pulumi("stack", "select", "--create")
    pulumi("config", "set", "namespace", namespace)
    pulumi("config", "set", "--secret", "a", "1")
    assert "warning" not in pulumi("up", "--yes")
    (created,) = objects("-n", namespace, "configmap", "hosted")
    assert created["data"] == {"a": "1"}
    pulumi("preview", "--expect-no-changes")
    pulumi("destroy", "--yes", "--remove")
    names = [m["metadata"]["name"] for m in objects("-n", namespace, "configmaps")]
    assert "hosted" not in names
