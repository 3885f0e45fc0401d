"""Writes to a RayService, and its change from one Ray cluster to the next."""

from __future__ import annotations

import copy
import json
import time
from datetime import UTC, datetime

import pytest

from raylift.errors import Conflict, Unreachable
from raylift.outputs import KubernetesOutputs
from raylift.ray_service_client import Clusters
from raylift.serve_runtime.cluster.kubernetes import KubernetesCluster
from raylift.serve_runtime.cluster.ray_cluster_switch import wait_until_settled
from raylift.serve_runtime.release import Submission

OUTPUTS = KubernetesOutputs("demo", "kubernetes", "", "ns", "2.60.0", "", "", "")
V1, V2 = ({"name": "a", "args": {"version": number}} for number in (1, 2))
ONE = Clusters("new", None, {})
OLD = "2001-01-01T00:00:00Z"
REJECTED = 'UpdateDeployments fail: 400 Bad Request {"msg": "no"}'


class Service:
    """A RayService and the ControllerRevisions that belong to it, in memory."""

    stack, core = "demo", "/api/v1/namespaces/ns"

    def __init__(self):
        self.api = self
        self.config, self.version = "{}", 1
        self.revisions = {}
        self.refusals = []
        self.pod_troubles = ["pod w: no node"]
        self.states = [(ONE, ["new"])]

    # -- the RayService

    def require(self):
        metadata = {"name": "demo", "uid": "u", "resourceVersion": str(self.version)}
        spec = {"serveConfigV2": self.config}
        kind = {"apiVersion": "ray.io/v1", "kind": "RayService"}
        return {**kind, "metadata": metadata, "spec": spec}

    def set_serve_config(self, text, *, version):
        if version != str(self.version):
            return False
        self.config, self.version = text, self.version + 1
        return True

    def with_cluster(self):
        return self.require(), None

    def clusters(self):
        return self.states[0][0]

    def all_clusters(self):
        return self.states.pop(0)[1]

    def troubles(self, _):
        return self.pod_troubles

    def events(self, selector):
        assert f"involvedObject.name={self.stack}," in selector
        return self.refusals

    # -- the API server

    def items(self, path, **_):
        return copy.deepcopy(list(self.revisions.values()))

    def get(self, path):
        return copy.deepcopy(self.revisions.get(path))

    def create(self, path, body):
        body["metadata"]["resourceVersion"] = "1"
        self.revisions[f"{path}/{body['metadata']['name']}"] = body
        return copy.deepcopy(body)

    def patch(self, path, body, _, *, wait_s):
        del wait_s
        metadata = self.revisions[path]["metadata"]
        if metadata["resourceVersion"] != body["metadata"]["resourceVersion"]:
            return None
        metadata["annotations"].update(body["metadata"]["annotations"])
        metadata["resourceVersion"] += "1"
        return copy.deepcopy(self.revisions[path])

    def time(self, *, wait_s=0):
        del wait_s
        return time.time()


class Dashboard:
    def version(self):
        return {}


@pytest.fixture
def service():
    return Service()


@pytest.fixture
def cluster(service):
    with KubernetesCluster(OUTPUTS, Dashboard(), service) as opened:
        yield opened


def _applications(service):
    return json.loads(service.config)["applications"]


def test_a_submission_is_written_and_recorded(cluster, service):
    release = cluster.submit(Submission({"a": V1}, cluster.desired()))
    assert _applications(service) == [V1]
    assert json.loads(service.config)["http_options"]["port"] == 8000
    cluster.rewrite({"a": V2})
    assert _applications(service) == [V2]
    cluster.close(release, "good")
    assert cluster.desired().good == {"a": V1}
    assert cluster.unfinished() == []


def test_a_change_since_the_plan_is_a_conflict(cluster, service):
    base = cluster.desired()
    cluster.close(cluster.submit(Submission({"a": V1}, base)), "good")
    with pytest.raises(Conflict, match=r"'a' was changed by .* in release 1"):
        cluster.submit(Submission({"a": V2}, base))
    assert _applications(service) == [V1]


def test_of_two_runs_at_once_the_lower_release_wins(cluster, service):
    with KubernetesCluster(OUTPUTS, Dashboard(), service) as other:
        cluster.submit(Submission({"a": V1}, cluster.desired()))
        with pytest.raises(Conflict, match=r"is being deployed by .* \(release 1\)"):
            other.submit(Submission({"a": V2}, other.desired()))


def test_without_ray_having_the_config_kuberay_is_the_blocker(cluster, service):
    cluster.submit(Submission({"a": V1}, cluster.desired()))
    blocker = cluster.blocker(delivered=False)
    assert blocker.text == "KubeRay has not sent the config to Ray yet"
    assert not blocker.final
    later = "2999-01-01T00:00:00Z"
    service.refusals = [{"message": REJECTED, "lastTimestamp": later}]
    blocker = cluster.blocker(delivered=False)
    assert blocker.text == "Ray rejected the config: no"
    assert blocker.final
    assert cluster.blocker(delivered=True).text == "pod w: no node"


@pytest.mark.parametrize(
    "time",
    [
        {"lastTimestamp": None, "eventTime": "2999-01-01T00:00:00.000001Z"},
        {"eventTime": OLD, "series": {"lastObservedTime": "2999-01-01T00:00:00.1Z"}},
    ],
    ids=["new-style", "repeated"],
)
def test_a_config_that_ray_rejected_after_recording_it_is_a_blocker(
    cluster, service, time
):
    service.refusals = [{"message": REJECTED, **time}]
    service.pod_troubles = []
    cluster.submit(Submission({"a": V1}, cluster.desired()))
    blocker = cluster.blocker(delivered=True)
    assert blocker.text == "Ray rejected the config: no"
    assert not blocker.final


def test_a_rejection_of_an_earlier_config_is_no_blocker(cluster, service):
    service.refusals = [{"message": REJECTED, "eventTime": OLD}, {"message": REJECTED}]
    service.pod_troubles = []
    cluster.submit(Submission({"a": V1}, cluster.desired()))
    assert cluster.blocker(delivered=True) is None


def test_ray_rejects_the_empty_config_before_the_first_deploy(cluster, service):
    """KubeRay may report this shortly after the first config was written."""
    service.pod_troubles = []
    cluster.submit(Submission({"a": V1}, cluster.desired()))
    now = datetime.now(UTC).isoformat()
    service.refusals = [{"message": REJECTED, "lastTimestamp": now}]
    assert cluster.blocker(delivered=True) is None


def test_a_pending_cluster_is_a_notice(cluster, service):
    service.states = [(Clusters("old", "new", {}), ["old", "new"])]
    pending = "Ray cluster new is pending and has not taken over yet"
    assert cluster.notices() == [pending, "pod w: no node"]


def test_each_step_of_a_takeover_is_reported_once(service):
    service.config = json.dumps({"applications": [V1]})
    two = (Clusters("old", "new", {}), ["old", "new"])
    service.states = [two, two, (ONE, ["old", "new"]), (ONE, ["new"])]
    lines = []
    wait_until_settled(service, Dashboard(), say=lines.append)
    assert lines == [
        "waiting for Ray cluster new to take over",
        "waiting for Ray cluster old, which still receives requests, to be deleted",
    ]


@pytest.mark.parametrize(
    ("applications", "statuses"), [([], {}), ([V1], {"a": "DEPLOY_FAILED"})]
)
def test_a_cluster_that_will_not_take_over_is_not_waited_for(
    service, applications, statuses
):
    service.config = json.dumps({"applications": applications})
    service.states = [(Clusters("old", "new", statuses), ["old", "new"])]
    wait_until_settled(service, Dashboard(), say=pytest.fail)


def test_a_head_that_does_not_respond_is_waited_for(service):
    class Starting:
        failures = iter([Unreachable("no answer"), None])

        def version(self):
            if error := next(self.failures):
                raise error

    lines = []
    wait_until_settled(service, Starting(), say=lines.append)
    assert lines == ["no answer"]
