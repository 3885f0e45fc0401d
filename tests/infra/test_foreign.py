"""What of others keeps a stack from being deleted."""

from __future__ import annotations

from infra.kubernetes.foreign import foreign_objects, served_by_operator

OURS = {"labels": {"raylift.io/stack": "demo"}}


class Lists:
    """An API server that has these objects: {(path, name): its metadata}."""

    def __init__(self, objects):
        self._objects = objects

    def items(self, path):
        return [
            {"metadata": {"name": name, "namespace": "prod", **metadata}}
            for (at, name), metadata in self._objects.items()
            if at == path
        ]


def test_what_has_neither_our_label_nor_an_owner_is_somebody_elses():
    deployments = "/apis/apps/v1/namespaces/ray/deployments"
    pods = "/api/v1/namespaces/ray/pods"
    found = {
        (deployments, "ours"): OURS,
        (deployments, "web"): {},
        (pods, "web-1"): {"ownerReferences": [{"name": "web"}]},
        (pods, "debug"): {"labels": {"raylift.io/stack": "another"}},
    }
    assert foreign_objects(Lists(found), "ray", "demo") == [
        "Deployment web",
        "Pod debug",
    ]


def test_the_operator_of_a_stack_stays_where_others_need_it():
    services, clusters = "/apis/ray.io/v1/rayservices", "/apis/ray.io/v1/rayclusters"
    found = {
        (services, "demo"): OURS,
        (services, "chat"): {},
        (clusters, "demo-x1"): OURS,
        (clusters, "chat-x1"): {"ownerReferences": [{"name": "chat"}]},
        (clusters, "batch"): {"labels": {"raylift.io/stack": "another"}},
        ("/apis/ray.io/v1/rayjobs", "train"): {},
        (clusters, "train-x1"): {"ownerReferences": [{"name": "train"}]},
    }
    needed = served_by_operator(Lists(found), "demo")
    assert needed == [
        "RayService prod/chat",
        "RayCluster prod/batch",
        "RayJob prod/train",
    ]
