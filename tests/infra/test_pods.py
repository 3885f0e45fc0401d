"""What users add to the pods of a stack, in the objects that `up` creates."""

from __future__ import annotations

import pytest
from recording import record

from raylift.infra.kubernetes.config import KubernetesConfig

VOLUMES = [
    {"name": "models", "mountPath": "/models", "persistentVolumeClaim": "weights"},
    {
        "name": "shared",
        "mountPath": "/shared",
        "readOnly": True,
        "persistentVolumeClaim": "shared",
    },
    {"name": "cache", "mountPath": "/cache", "emptyDir": "90Gi"},
    {"name": "etc", "mountPath": "/etc/models", "readOnly": True, "configMap": "etc"},
    {"name": "keys", "mountPath": "/etc/keys", "secret": "keys"},
]


@pytest.fixture
def resources(request):
    ray = {"workerGroups": [{"name": "workers", **request.param.pop("group", {})}]}
    return record(KubernetesConfig(ray=ray | request.param, packageVolume={}))


def _templates(resources):
    """Return the pod specs of the head, of the workers and of the package server."""
    (service,) = resources.of("ray.io/v1:RayService")
    spec = service.inputs["spec"]["rayClusterConfig"]
    workers = [group["template"]["spec"] for group in spec["workerGroupSpecs"]]
    head = spec["headGroupSpec"]["template"]["spec"]
    server = resources.one("packages", "Deployment").inputs["spec"]["template"]["spec"]
    return [head, *workers, server]


def _containers(resources):
    return [spec["containers"][0] for spec in _templates(resources)]


@pytest.mark.parametrize(
    "resources",
    [{"imageRegistry": "registry.example.com/mirror"}],
    indirect=True,
)
def test_default_images_come_from_the_registry(resources):
    images = {container["image"] for container in _containers(resources)}
    assert images == {"registry.example.com/mirror/rayproject/ray:2.60.0-py311"}
    values = resources.one("kuberay-operator", "Release").inputs["values"]
    assert values["image"] == {
        "repository": "registry.example.com/mirror/kuberay/operator"
    }


@pytest.mark.parametrize(
    "resources",
    [{"imageRegistry": "a.example", "image": "b.example/ray:2.60.0"}],
    indirect=True,
)
def test_a_configured_image_does_not_come_from_the_registry(resources):
    images = {container["image"] for container in _containers(resources)}
    assert images == {"b.example/ray:2.60.0"}


@pytest.mark.parametrize("resources", [{"priorityClassName": "high"}], indirect=True)
def test_every_pod_has_the_priority_class(resources):
    assert {s["priorityClassName"] for s in _templates(resources)} == {"high"}


@pytest.mark.parametrize("resources", [{"volumes": VOLUMES}], indirect=True)
def test_every_ray_pod_mounts_the_volumes(resources):
    for spec in _templates(resources)[:2]:
        volumes = {each.pop("name"): each for each in spec["volumes"]}
        assert volumes["user-models"] == {
            "persistentVolumeClaim": {"claimName": "weights"}
        }
        assert volumes["user-shared"] == {
            "persistentVolumeClaim": {"claimName": "shared", "readOnly": True}
        }
        assert volumes["user-cache"] == {"emptyDir": {"sizeLimit": "90Gi"}}
        assert volumes["user-etc"] == {"configMap": {"name": "etc"}}
        assert volumes["user-keys"] == {"secret": {"secretName": "keys"}}
        mounts = spec["containers"][0]["volumeMounts"]
        assert {"name": "user-models", "mountPath": "/models"} in mounts
        etc = {"name": "user-etc", "mountPath": "/etc/models", "readOnly": True}
        assert etc in mounts


@pytest.mark.parametrize(
    "resources",
    [{"envFrom": [{"configMap": "settings"}, {"secret": "keys"}]}],
    indirect=True,
)
def test_every_ray_pod_reads_the_environment(resources):
    for container in _containers(resources)[:2]:
        assert container["envFrom"] == [
            {"configMapRef": {"name": "settings"}},
            {"secretRef": {"name": "keys"}},
        ]


@pytest.mark.parametrize(
    "resources",
    [
        {
            "group": {
                "extraResources": {
                    "rdma/hca": 1000,
                    "example.com/none": 0,
                    "ephemeral-storage": "9Gi",
                    "hugepages-2Mi": "64Mi",
                }
            }
        }
    ],
    indirect=True,
)
def test_workers_request_extra_resources(resources):
    amounts = _containers(resources)[1]["resources"]
    assert amounts["limits"] == amounts["requests"]
    extra = {k: v for k, v in amounts["limits"].items() if k not in ("cpu", "memory")}
    assert extra == {
        "rdma/hca": "1k",
        "example.com/none": "0",
        "ephemeral-storage": "9Gi",
        "hugepages-2Mi": "64Mi",
    }


@pytest.mark.parametrize(
    "resources",
    [{"group": {"topologySpread": [{"topologyKey": "zone"}]}}],
    indirect=True,
)
def test_workers_of_one_ray_cluster_are_spread(resources):
    _, workers, _ = _templates(resources)
    assert workers["topologySpreadConstraints"] == [
        {
            "topologyKey": "zone",
            "maxSkew": 1,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {
                "matchLabels": {
                    "raylift.io/stack": "demo",
                    "raylift.io/worker-group": "workers",
                }
            },
            "matchLabelKeys": ["ray.io/cluster"],
        }
    ]
