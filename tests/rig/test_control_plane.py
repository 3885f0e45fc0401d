"""Tests of the rig itself: nodes like those of EKS, a scheduler, dynamic volumes."""

from __future__ import annotations

from pathlib import Path

import pytest
from kube import apply, kubectl, new_namespace, objects
from project import wait_until

pytestmark = pytest.mark.rig

TOLERATION = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


@pytest.fixture(scope="module")
def namespace(rig):
    """Share one namespace between these tests, because deleting one takes 5 s."""
    with new_namespace() as name:
        yield name


def simulated_pod(namespace, name, **spec):
    container = {"name": "main", "image": "busybox", **spec.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [container], **spec},
    }


def test_a_gpu_node_has_the_labels_taint_and_gpus_of_eks(rig):
    nodes = {node["metadata"]["name"]: node for node in objects("nodes")}
    assert set(nodes) >= {"cpu-0", "gpu-0"}
    gpu = nodes["gpu-0"]
    assert gpu["metadata"]["labels"]["k8s.amazonaws.com/accelerator"] == "nvidia-a10g"
    assert gpu["spec"]["taints"][0]["key"] == "nvidia.com/gpu"
    assert gpu["status"]["allocatable"]["nvidia.com/gpu"] == "4"


def test_the_scheduler_places_a_gpu_pod_on_a_gpu_node(namespace):
    container = {"resources": {"limits": {"nvidia.com/gpu": "1"}}}
    spec = {"container": container, "tolerations": [TOLERATION]}
    apply(simulated_pod(namespace, "gpu", **spec))
    ready = ("--for=condition=Ready", "--timeout=20s")
    kubectl("-n", namespace, "wait", *ready, "pod/gpu")
    assert objects("-n", namespace, "pod", "gpu")[0]["spec"]["nodeName"] == "gpu-0"


def test_a_volume_is_created_with_the_first_pod_and_deleted_with_the_claim(namespace):
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    apply(claim)
    source = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    apply(simulated_pod(namespace, "user", volumes=[source]))
    kubectl(
        *("-n", namespace, "wait", "--timeout=20s"),
        *("--for=jsonpath={.status.phase}=Bound", "pvc/data"),
    )
    (claimed,) = objects("-n", namespace, "pvc", "data")
    (volume,) = objects("pv", claimed["spec"]["volumeName"])
    folder = Path(volume["spec"]["hostPath"]["path"])
    assert folder.is_dir()
    kubectl("-n", namespace, "delete", "pod/user", "pvc/data", "--timeout=20s")
    wait_until(lambda: not folder.exists())
    wait_until(lambda: volume["metadata"]["name"] not in kubectl("get", "pv"))


def test_the_cluster_has_an_ingress_class():
    assert [each["metadata"]["name"] for each in objects("ingressclasses")] == ["rig"]
