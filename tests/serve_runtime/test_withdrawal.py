"""Defaults that keep an application from running, and documents without them."""

from __future__ import annotations

import pytest

from raylift.serve_runtime.deploy import withdrawal
from raylift.serve_runtime.deploy.defaults import Added
from raylift.serve_runtime.deploy.withdrawal import Defaults, without
from raylift.serve_runtime.ray_api.dashboard import RayNode
from raylift.serve_runtime.status.status import applications_of

SURGE = Added("a", "D", "max_surge_percent", 100, "")
QUEUE = Added("a", "D", "max_queued_requests", 200, "")


class Cluster:
    """A cluster whose dashboard reports unmet demand, and its potential nodes."""

    def __init__(self, *, unmet=True, potential=()):
        self.dashboard = self
        self._unmet = unmet
        self._potential = list(potential)

    def has_unmet_demand(self, needs):
        assert needs == {"CPU": 1}
        return self._unmet

    def nodes(self):
        return []

    def potential_nodes(self, _):
        return self._potential


def _node(cpus):
    return RayNode("n", is_head=False, alive=True, resources={"CPU": cpus}, labels={})


def _applications(*, status="DEPLOYING", message="", states=("RUNNING", "STARTING")):
    replicas = [{"state": s, "pid": 1 if s == "RUNNING" else None} for s in states]
    item = {
        "status": status,
        "message": message,
        "deployments": {"D": {"replicas": replicas, "required_resources": {"CPU": 1}}},
    }
    return applications_of({"applications": {"a": item}})


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(withdrawal, "_SURGE_SECONDS", 0)


@pytest.mark.usefixtures("at_once")
def test_a_surge_that_waits_for_resources_blocks():
    settings, reason = Defaults(Cluster(), [SURGE, QUEUE]).blocking(_applications())
    assert (settings, reason) == ([SURGE], "no room for another replica")


@pytest.mark.usefixtures("at_once")
def test_a_potential_node_that_is_too_small_does_not_help():
    cluster = Cluster(potential=[_node(0.5)])
    assert Defaults(cluster, [SURGE]).blocking(_applications())[0] == [SURGE]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("cluster", "applications", "added"),
    [
        (Cluster(unmet=False), _applications(), [SURGE]),  # its environment is set up
        (Cluster(potential=[_node(1)]), _applications(), [SURGE]),  # a node will come
        (Cluster(), _applications(states=("STARTING",)), [SURGE]),  # nothing to replace
        (Cluster(), _applications(states=("RUNNING",)), [SURGE]),
        (Cluster(), _applications(), [QUEUE]),
        (Cluster(), _applications(), []),
    ],
)
def test_nothing_else_blocks(cluster, applications, added):
    assert Defaults(cluster, added).blocking(applications) == ([], "")


def test_a_surge_gets_some_seconds():
    assert Defaults(Cluster(), [SURGE]).blocking(_applications()) == ([], "")


def test_an_override_that_ray_cannot_apply_blocks_with_all_defaults():
    message = (
        '  File "/v/site-packages/ray/serve/_private/application_state.py", line 1, in'
        " override_deployment_info\n    raise\n"
        "ModuleNotFoundError: No module named 'model'\n"
    )
    failed = _applications(status="DEPLOY_FAILED", message=message)
    settings, reason = Defaults(Cluster(), [SURGE, QUEUE]).blocking(failed)
    assert settings == [SURGE, QUEUE]
    assert reason == (
        "ModuleNotFoundError: No module named 'model': Ray's controller imports the"
        " autoscaling policy or request router that the code names, because the config"
        " overrides this deployment; name it in the config instead"
    )


def test_a_document_without_a_default_keeps_the_rest():
    document = {
        "name": "a",
        "deployments": [
            {"name": "D", "max_surge_percent": 100, "max_queued_requests": 200},
            {"name": "E", "num_replicas": 2},
        ],
    }
    assert without(document, [SURGE]) == {
        "name": "a",
        "deployments": [
            {"name": "D", "max_queued_requests": 200},
            {"name": "E", "num_replicas": 2},
        ],
    }
    only = {"name": "a", "deployments": [{"name": "D", "max_surge_percent": 100}]}
    assert without(only, [SURGE]) == {"name": "a"}
