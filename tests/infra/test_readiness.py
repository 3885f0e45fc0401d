"""Whether KubeRay replaces the Ray cluster after a change of a RayService."""

from __future__ import annotations

import copy

import pytest
from recording import record

from raylift.infra.kubernetes.config import KubernetesConfig
from raylift.infra.kubernetes.readiness import RayServiceWatch


class OneService:
    """An API server that contains only a RayService."""

    def __init__(self, service):
        self.service = service

    def get(self, path):
        return self.service if "/rayservices/" in path else None


@pytest.fixture
def service():
    ray = {"workerGroups": [{"name": "workers", "memory": "4Gi"}]}
    (found,) = record(KubernetesConfig(ray=ray)).of("ray.io/v1:RayService")
    return copy.deepcopy(found.inputs)


def _group(service):
    (group,) = service["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    return group, group["template"]["spec"]


def _respelled(service):
    """Write a service like KubeRay 1.7, in another spelling of the same values."""
    group, pod = _group(service)
    pod["containers"][0]["resources"]["limits"]["memory"] = "4096Mi"
    pod["nodeSelector"] = {}
    group["scaleStrategy"] = {"workersToDelete": []}


def _bounds(service):
    group, pod = _group(service)
    group.update(minReplicas=3, maxReplicas=9, replicas=4)
    pod["tolerations"] = [{"operator": "Exists"}]


def _memory(service):
    _, pod = _group(service)
    pod["containers"][0]["resources"]["limits"]["memory"] = "4097Mi"


def _image(service):
    _group(service)[1]["containers"][0]["image"] = "other"


@pytest.mark.parametrize(
    ("change", "replaces"),
    [(_respelled, False), (_bounds, False), (_memory, True), (_image, True)],
)
def test_only_another_value_replaces_the_cluster(service, change, replaces):
    api = OneService(service)
    watch = RayServiceWatch(api, "ray", "demo")
    before = watch.look()
    change(service)
    assert (watch.look() != before) == replaces
