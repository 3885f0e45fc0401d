"""The fixtures of the tests in a rig, which `make test-rig` starts."""

from __future__ import annotations

import os

import pytest
from api import Api
from kube import new_namespace, run_folder


@pytest.fixture(scope="session", autouse=True)
def rig():
    """The state of the rig that this runs in: logs, volumes, kubeconfig."""
    if "RIG_API_SERVER" not in os.environ:
        pytest.skip(os.environ.get("RIG_SKIPPED", "not in a rig: make test-rig"))
    return run_folder()


@pytest.fixture(scope="session")
def api(rig):
    """The API server, without the price of a kubectl for each question."""
    return Api(rig)


@pytest.fixture
def namespace(rig):
    """A namespace for one test."""
    with new_namespace() as name:
        yield name
