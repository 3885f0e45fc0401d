"""Defaults never keep an application from running that plain Ray runs."""

from __future__ import annotations

import json
import os
import random

import pytest
from generated import application
from project import make_project, running

pytestmark = [pytest.mark.ray, pytest.mark.long]

ROUNDS = int(os.environ.get("RAYLIFT_GENERATED_ROUNDS", "150"))
TOGETHER = 2
NODES = """
raylift:target: local
raylift:ray: {head: {numCpus: 8, resources: {slot: 12}}}
"""


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """Two stacks, without and with the defaults."""
    root = tmp_path_factory.mktemp("generated")
    plain = make_project(
        root / "plain", config=f"{NODES}raylift:serve: {{defaults: ray}}\n"
    )
    safe = make_project(root / "safe", config=NODES)
    with running(plain), running(safe):
        yield plain, safe


def _runs(stack, draw):
    """Deploy new applications, then new versions of them; return what failed first."""
    state = draw.getstate()
    for version in ("v1", "v2"):
        draw.setstate(state)
        made = [application(draw, f"app{i}", version) for i in range(TOGETHER)]
        for code, entry in made:
            stack.write(f"{entry['name']}/model.py", code)
        entries = [entry for _, entry in made]
        stack.write("serve.yaml", json.dumps({"applications": entries}))
        deployed = stack.run("deploy", "--timeout", "240", code=None)
        if deployed.returncode:
            return f"{version}: {deployed.stderr}"
        for entry in entries:
            status, answer = stack.get(f"{entry['route_prefix']}/")
            assert (status, answer.strip('"')) == (200, version)
    return ""


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_what_plain_ray_runs_is_deployed_and_updated_with_defaults(stacks, seed):
    failures = []
    for stack in stacks:
        failures.append(_runs(stack, random.Random(seed)))
        if names := stack.names():
            stack.run("delete", *names)
    plain, safe = failures
    assert not plain or seed, plain  # the first round must compare something
    if plain:
        pytest.skip(f"plain Ray does not run these applications: {plain}")
    assert not safe
