"""Why pods do not run, from pods, Ray clusters and events as an API server has them."""

from __future__ import annotations

import pytest

from raylift.pod_troubles import trouble_of
from raylift.ray_service_client import RayServiceClient

CORE, RAY = "/api/v1/namespaces/ns", "/apis/ray.io/v1/namespaces/ns"
NO_CLASS = "no PriorityClass with name high was found"
QUOTA = "exceeded quota: small, requested: cpu=2, used: cpu=8, limited: cpu=8"
MOUNT = 'MountVolume.SetUp failed for volume "user-etc" : configmap "etc" not found'
CREATING = {
    "containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]
}
RUNNING = {"phase": "Running"}


class Api:
    """An API server in memory that selects events by reason and object, and pods."""

    def __init__(self):
        self.pods, self.events, self.desired = [], [], 0

    def add_pod(self, name, kind, status):
        labels = {"ray.io/cluster": "c", "ray.io/node-type": kind}
        self.pods.append(
            {"metadata": {"name": name, "labels": labels}, "status": status}
        )

    def add_event(self, reason, name, message, seen):
        self.events.append(
            {
                "reason": reason,
                "involvedObject": {"name": name},
                "message": message,
                "lastTimestamp": f"2026-01-01T00:00:{seen:02}Z",
            }
        )

    def items(self, path, *, fieldSelector="", labelSelector=""):  # noqa: N803 Kubernetes' names
        if path == f"{CORE}/pods":
            wanted = dict(each.split("=") for each in labelSelector.split(","))
            return [p for p in self.pods if p["metadata"]["labels"] == wanted]
        assert path == f"{CORE}/events"
        wanted = dict(each.split("=") for each in fieldSelector.split(","))
        name = wanted.get("involvedObject.name")
        return [
            event
            for event in self.events
            if event["reason"] == wanted["reason"]
            and name in (None, event["involvedObject"]["name"])
        ]

    def get(self, path):
        assert path == f"{RAY}/rayclusters/c"
        return {"status": {"desiredWorkerReplicas": self.desired}}


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
                "containerStatuses": [
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


def test_a_head_that_the_api_server_rejects(api):
    message = (
        f'Failed to create head Pod ns/c-head, pods "c-head" is forbidden: {NO_CLASS}'
    )
    api.add_event("FailedToCreateHeadPod", "c", message, seen=1)
    assert _troubles(api, "head") == [f"head pod: not created: {NO_CLASS}"]
    api.add_pod("c-head", "head", RUNNING)
    assert _troubles(api, "head") == []


def test_workers_that_the_api_server_rejects(api):
    start = "Failed to create worker Pod for the cluster ns/c, "
    for seen, text in ((9, QUOTA), (1, NO_CLASS)):
        message = f'{start}pods "c-w-x" is forbidden: {text}'
        api.add_event("FailedToCreateWorkerPod", "c", message, seen)
    api.add_event("FailedToCreateWorkerPod", "other", f"{start}no", seen=20)
    api.desired = 1
    assert _troubles(api) == [f"worker pod: not created: {QUOTA}"]
    api.add_pod("w", "worker", RUNNING)
    assert _troubles(api) == []


def test_a_pod_that_waits_for_its_volumes(api):
    api.add_pod("a", "worker", CREATING)
    api.add_pod("b", "worker", RUNNING)
    for name in ("a", "b"):
        api.add_event("FailedMount", name, MOUNT, seen=1)
    assert _troubles(api, "worker") == [f"pod a: {MOUNT}"]
