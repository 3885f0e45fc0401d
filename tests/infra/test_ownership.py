"""Detection of objects that would be deleted with a stack that does not own them."""

from __future__ import annotations

from raylift.infra.kubernetes.ownership import served_by_operator, unmanaged_objects

OURS = {"labels": {"raylift.io/stack": "demo"}}


class ApiServer:
    """An API server with these objects: {(path, name): metadata}."""

    def __init__(self, objects):
        self._objects = objects

    def items(self, path):
        return [
            {"metadata": {"name": name, "namespace": "prod", **metadata}}
            for (parent, name), metadata in self._objects.items()
            if parent == path
        ]


def test_an_object_without_our_label_and_without_an_owner_is_unmanaged():
    deployments = "/apis/apps/v1/namespaces/ray/deployments"
    pods = "/api/v1/namespaces/ray/pods"
    objects = {
        (deployments, "ours"): OURS,
        (deployments, "web"): {},
        (pods, "web-1"): {"ownerReferences": [{"name": "web"}]},
        (pods, "debug"): {"labels": {"raylift.io/stack": "another"}},
    }
    assert unmanaged_objects(ApiServer(objects), "ray", "demo") == [
        "Deployment web",
        "Pod debug",
    ]


def test_ray_objects_of_others_need_the_operator_of_a_stack():
    services, clusters = "/apis/ray.io/v1/rayservices", "/apis/ray.io/v1/rayclusters"
    objects = {
        (services, "demo"): OURS,
        (services, "chat"): {},
        (clusters, "demo-x1"): OURS,
        (clusters, "chat-x1"): {"ownerReferences": [{"name": "chat"}]},
        (clusters, "batch"): {"labels": {"raylift.io/stack": "another"}},
        ("/apis/ray.io/v1/rayjobs", "train"): {},
        (clusters, "train-x1"): {"ownerReferences": [{"name": "train"}]},
    }
    needed = served_by_operator(ApiServer(objects), "demo")
    assert needed == [
        "RayService prod/chat",
        "RayCluster prod/batch",
        "RayJob prod/train",
    ]
