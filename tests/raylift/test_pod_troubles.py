"""Why pods do not run, from pods, Ray clusters and events as an API server has them."""

from __future__ import annotations

import pytest

from raylift.pod_troubles import trouble_of, waits_for_volumes
from raylift.ray_service_client import RayServiceClient

CORE, RAY = "/api/v1/namespaces/ns", "/apis/ray.io/v1/namespaces/ns"
QUOTA = "exceeded quota: small, requested: cpu=2, used: cpu=8, limited: cpu=8"
MOUNT = 'MountVolume.SetUp failed for volume "user-etc" : configmap "etc" not found'
MOUNTING = {
    "phase": "Pending",
    "conditions": [{"type": "PodReadyToStartContainers", "status": "False"}],
    "initContainerStatuses": [{"state": {"waiting": {"reason": "PodInitializing"}}}],
}
RUNNING = {
    "phase": "Running",
    "conditions": [{"type": "PodReadyToStartContainers", "status": "True"}],
}


class Api:
    """An API server in memory that selects pods by labels, and events by fields."""

    def __init__(self):
        self.pods, self.events, self.conditions = [], [], []

    def add_pod(self, name, kind, status):
        labels = {"ray.io/cluster": "c", "ray.io/node-type": kind}
        metadata = {"name": name, "labels": labels}
        self.pods.append({"metadata": metadata, "status": status})

    def add_event(self, reason, name, message, seen):
        self.events.append(
            {
                "reason": reason,
                "type": "Warning",
                "involvedObject": {"kind": "Pod", "name": name},
                "message": message,
                "lastTimestamp": f"2026-01-01T00:00:{seen:02}Z",
            }
        )

    def items(self, path, *, fieldSelector="", labelSelector=""):  # noqa: N803 Kubernetes' names
        if path == f"{CORE}/pods":
            wanted = dict(each.split("=") for each in labelSelector.split(","))
            return [p for p in self.pods if p["metadata"]["labels"] == wanted]
        assert path == f"{CORE}/events"
        assert fieldSelector == "type=Warning,involvedObject.kind=Pod"
        return self.events

    def get(self, path):
        assert path == f"{RAY}/rayclusters/c"
        return {"status": {"conditions": self.conditions, "desiredWorkerReplicas": 1}}


@pytest.fixture
def api():
    return Api()


def _troubles(api, *kinds):
    found = RayServiceClient(api, "ns", "demo").troubles("c", *kinds)
    return [str(trouble) for trouble in found]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"phase": "Running"}, ""),
        (
            {
                "conditions": [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "message": "0/3 nodes are available: 3 Insufficient cpu.",
                    }
                ]
            },
            "0/3 nodes are available: 3 Insufficient cpu.",
        ),
        (
            {
                "initContainerStatuses": [
                    {"state": {"running": {}}},
                    {
                        "state": {
                            "waiting": {"reason": "ErrImagePull", "message": "no such"}
                        }
                    },
                ]
            },
            "ErrImagePull: no such",
        ),
        (
            {
                "containerStatuses": [
                    {
                        "state": {
                            "waiting": {
                                "reason": "CreateContainerConfigError",
                                "message": 'configmap "settings" not found',
                            }
                        }
                    }
                ]
            },
            'CreateContainerConfigError: configmap "settings" not found',
        ),
        (
            {
                "containerStatuses": [
                    {"state": {"waiting": {"reason": "PodInitializing"}}}
                ]
            },
            "",
        ),
    ],
)
def test_the_reason_why_a_pod_does_not_run(status, expected):
    trouble = trouble_of({"metadata": {"name": "w"}, "status": status})
    assert str(trouble or "") == (expected and f"pod w: {expected}")


@pytest.mark.parametrize(("kind", "name"), [("head", "Head"), ("worker", "Worker")])
def test_a_pod_that_the_api_server_rejects(api, kind, name):
    reason = f"FailedCreate{name}Pod"
    message = f'{reason}\npods "c-x" is forbidden: {QUOTA}'
    failure = {"type": "ReplicaFailure", "status": "True", "reason": reason}
    api.conditions = [failure | {"message": message}, {"type": "HeadPodReady"}]
    assert _troubles(api) == [f"{kind} pod: not created: {QUOTA}"]
    assert _troubles(api, {"head": "worker", "worker": "head"}[kind]) == []
    api.add_pod("w", kind, RUNNING)  # KubeRay may keep the condition
    assert _troubles(api) == []


def test_a_pod_that_waits_for_its_volumes(api):
    api.add_pod("a", "worker", MOUNTING)
    api.add_pod("b", "worker", RUNNING)
    for name in ("a", "b"):
        api.add_event("FailedMount", name, "an earlier reason", seen=1)
        api.add_event("FailedAttachVolume", name, f"{MOUNT}\nOutput: no", seen=2)
        api.add_event("Unhealthy", name, "probe", seen=3)
    assert _troubles(api, "worker") == [f"pod a: {MOUNT}\\nOutput: no"]


@pytest.mark.parametrize(
    ("status", "is_waiting"),
    [
        (MOUNTING, True),
        (RUNNING, False),
        (MOUNTING | {"phase": "Succeeded"}, False),
        (MOUNTING | {"conditions": []}, True),  # Kubernetes 1.28
        ({"phase": "Pending"}, False),
    ],
)
def test_pods_that_wait_for_volumes(status, is_waiting):
    assert waits_for_volumes({"status": status}) == is_waiting


def test_troubles_of_the_head_come_first(api):
    for kind in ("worker", "head"):
        api.add_pod(kind, kind, MOUNTING)
        api.add_event("FailedMount", kind, "no", seen=1)
    assert _troubles(api) == ["pod head: no", "pod worker: no"]
