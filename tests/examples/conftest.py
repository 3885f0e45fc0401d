"""One stack for every example, as its README says: up, deploy, ask."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from project import make_project, running

if TYPE_CHECKING:
    from types import ModuleType

EXAMPLES = Path(__file__).parents[2] / "examples"
# More than this machine has: Ray places by what its nodes claim.
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
    """A stack that is up for all examples, which run on it one after another."""
    project = make_project(tmp_path_factory.mktemp("examples"), config=STACK)
    with running(project) as stack:
        yield stack


@pytest.fixture(scope="session")
def examples_folder():
    return EXAMPLES


@pytest.fixture(scope="module")
def example(stack, request):
    """The stack with the example deployed that the test's module is named for."""
    before = set(stack.names())
    stack.run("deploy", str(folder_of(request.module) / "serve.yaml"))
    yield stack
    if left := set(stack.names()) - before:
        stack.run("delete", *left)


@pytest.fixture
def folder(request, tmp_path):
    """A copy of the example's folder, to change."""
    return Path(shutil.copytree(folder_of(request.module), tmp_path / "example"))


def folder_of(module: ModuleType) -> Path:
    """`examples/many-apps` of `test_many_apps`."""
    name = module.__name__.rpartition("test_")[2].replace("_", "-")
    return EXAMPLES / name
