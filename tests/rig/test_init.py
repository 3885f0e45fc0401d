"""Test that a project created by `raylift init` works with plain Pulumi."""

from __future__ import annotations

import re

import pytest
from kube import objects
from stack import Stack

pytestmark = pytest.mark.rig

NAME, SPACE = "models", "models-ray"
FILE = f"""
config:
  raylift:target: kubernetes
  raylift:kubernetes: {{namespace: {SPACE}}}
  raylift:ray:
    workerGroups:
      - {{name: workers, numCpus: 1, memory: 2Gi, minReplicas: 0, maxReplicas: 1}}
"""


@pytest.mark.long
def test_pulumi_up_works_next_to_a_users_infra_package(rig, tmp_path):
    stack = Stack(tmp_path, NAME)
    stack.run("raylift", "init")
    stack.write(FILE)
    (tmp_path / "infra").mkdir()
    (tmp_path / "infra" / "__init__.py").write_text("raise RuntimeError('theirs')\n")

    def pulumi(*words):
        return stack.run("pulumi", *words, "--non-interactive", "-s", NAME).stdout

    pulumi("stack", "select", "--create")
    try:
        assert re.search(r"\+ \d+ created", pulumi("up", "--yes"))
        assert objects("-n", SPACE, "rayservice", NAME)
        pulumi("preview", "--expect-no-changes")
    finally:
        pulumi("destroy", "--yes", "--remove")
    assert objects("--all-namespaces", "rayservice") == []
