"""Updates that KubeRay does not make, against a RayService in memory."""

from __future__ import annotations

import pytest

from raylift.errors import Unreachable
from raylift.ray_service_updates import apply_bounds, set_empty_config


def _group(name, least, most, **more):
    return {"groupName": name, "minReplicas": least, "maxReplicas": most, **more}


class Ray:
    """A RayService and its RayCluster; the first `conflicts` changes conflict."""

    ray = "/apis/ray.io/v1/namespaces/ns"

    def __init__(self, *, conflicts=0):
        self.api, self.conflicts, self.changes = self, conflicts, []
        groups = [_group("cpu", 1, 5), _group("new", 0, 1)]
        self.service = {
            "metadata": {"resourceVersion": "7"},
            "spec": {"rayClusterConfig": {"workerGroupSpecs": groups}},
        }
        running = [_group("cpu", 1, 4, replicas=3), _group("old", 0, 2)]
        self.running = {
            "metadata": {"name": "c", "resourceVersion": "9"},
            "spec": {"workerGroupSpecs": running},
        }

    def get(self):
        return self.service

    require = get

    def with_cluster(self):
        return self.service, self.running

    def _accept(self, *change):
        self.changes.append(change)
        return len(self.changes) > self.conflicts

    def set_serve_config(self, text, *, version):
        return self._accept(text, version)

    def patch(self, path, body, content):
        assert content == "merge-patch+json"
        return {} if not self._accept(path, body) else body


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda _: None)


def test_bounds_are_copied_and_nothing_else():
    ray = Ray()
    apply_bounds(ray)
    ((path, body),) = ray.changes
    assert path == f"{ray.ray}/rayclusters/c"
    assert body == {
        "metadata": {"resourceVersion": "9"},
        "spec": {
            "workerGroupSpecs": [_group("cpu", 1, 5, replicas=3), _group("old", 0, 2)]
        },
    }


def test_equal_bounds_are_not_written():
    ray = Ray()
    ray.service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["maxReplicas"] = 4
    apply_bounds(ray)
    ray.running = None
    apply_bounds(ray)
    assert ray.changes == []


def test_an_empty_config_is_set_once():
    ray = Ray()
    set_empty_config(ray)
    assert ray.changes == [("applications: []\n", "7")]
    ray.service["spec"]["serveConfigV2"] = ""
    set_empty_config(ray)
    assert len(ray.changes) == 1


@pytest.mark.parametrize("change", [apply_bounds, set_empty_config])
def test_a_change_that_conflicts_is_repeated(change):
    ray = Ray(conflicts=2)
    change(ray)
    assert len(ray.changes) == 3
    with pytest.raises(Unreachable, match="changed concurrently 10 times"):
        change(Ray(conflicts=10))
