"""A stack for the tests of all examples; each test module deploys its example."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from project import make_project, running

if TYPE_CHECKING:
    from types import ModuleType

EXAMPLES = Path(__file__).parents[2] / "examples"
# More than the machine has: Ray schedules by the resources that nodes declare.
STACK = """
raylift:target: local
raylift:nodeGroups:
  - name: l4
    numCpus: 4
    numGpus: 1
    memory: 2Gi
    resources: {fast: 2}
    labels: {accelerator: l4}
raylift:ray: {head: {numCpus: 32}}
"""


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    """A running stack, on which the tests of the examples run one after another."""
    project = make_project(tmp_path_factory.mktemp("examples"), config=STACK)
    with running(project) as stack:
        yield stack


@pytest.fixture(scope="session")
def examples_folder():
    return EXAMPLES


@pytest.fixture(scope="module")
def example(stack, request):
    """The stack with the deployed example that the test module is named after."""
    before = set(stack.names())
    stack.run("deploy", str(folder_of(request.module) / "serve.yaml"))
    yield stack
    if left := set(stack.names()) - before:
        stack.run("delete", *left)


@pytest.fixture
def folder(request, tmp_path):
    """A copy of the example's folder that the test can change."""
    return Path(shutil.copytree(folder_of(request.module), tmp_path / "example"))


def folder_of(module: ModuleType) -> Path:
    """Return the example's folder: `examples/many-apps` for `test_many_apps`."""
    name = module.__name__.rpartition("test_")[2].replace("_", "-")
    return EXAMPLES / name
