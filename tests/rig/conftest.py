"""Fixtures for tests in a rig, which `make test-rig` starts."""

from __future__ import annotations

import os

import pytest
from api import Api
from kube import new_namespace, run_folder


@pytest.fixture(scope="session", autouse=True)
def rig():
    """Return the folder with the state of the rig: logs, volumes and kubeconfig."""
    if "RIG_API_SERVER" not in os.environ:
        reason = "this process is not in a rig: run make test-rig"
        pytest.skip(os.environ.get("RIG_SKIPPED", reason))
    return run_folder()


@pytest.fixture(scope="session")
def api(rig):
    """Return a client of the API server, which is faster than kubectl."""
    return Api(rig)


@pytest.fixture
def namespace(rig):
    """Create a namespace for one test."""
    with new_namespace() as name:
        yield name
