"""Fixtures of the tests on real Ray."""

from __future__ import annotations

import pytest
from project import make_project, running


@pytest.fixture(scope="module")
def up(tmp_path_factory):
    """A running stack for the tests of one module, which declares four CPUs."""
    config = """
    raylift:target: local
    raylift:ray: {head: {numCpus: 4}}
    """
    project = make_project(tmp_path_factory.mktemp("project"), config=config)
    with running(project) as stack:
        yield stack


@pytest.fixture
def project(tmp_path):
    """A stack that is not up; everything that the test starts is stopped after it."""
    project = make_project(tmp_path)
    yield project
    project.run("delete", "--yes", code=None)
    for process in project.processes():
        process.kill()
