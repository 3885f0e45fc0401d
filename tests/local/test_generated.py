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
def safe(tmp_path_factory):
    """Start a stack with the defaults of raylift."""
    project = make_project(tmp_path_factory.mktemp("safe"), config=NODES)
    with running(project):
        yield project


@pytest.fixture
def plain(tmp_path):
    """Return a stack that is as plain Ray; a test starts it if it needs it."""
    config = f"{NODES}raylift:serve: {{defaults: ray}}\n"
    return make_project(tmp_path, config=config)


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
def test_what_plain_ray_runs_is_deployed_and_updated_with_defaults(safe, plain, seed):
    failure = _runs(safe, random.Random(seed))
    if names := safe.names():
        safe.run("delete", *names)
    if not failure:
        return
    with running(plain):
        refused = _runs(plain, random.Random(seed))
    assert seed or not refused, refused  # the first round must run
    assert refused, f"plain Ray runs what raylift does not: {failure}"
    pytest.skip(f"plain Ray does not run these applications: {refused}")
