"""Tests of podrun with pods without Ray: volumes, probes and hooks."""

from __future__ import annotations

import sys
import uuid

import pytest
from kube import apply, condition, kubectl, new_namespace, objects
from project import wait_until

pytestmark = pytest.mark.rig

LABELS = {"ray.io/node-type": "head", "ray.io/cluster": "none"}


@pytest.fixture(scope="module")
def namespace(rig):
    """Share one namespace between these tests, because deleting one takes 5 s."""
    with new_namespace() as name:
        yield name


class Pod:
    """A pod that podrun treats as a Ray head."""

    def __init__(self, namespace, script, *, volumes=(), grace=1, **container):
        self.namespace, self.name = namespace, f"pod-{uuid.uuid4().hex[:4]}"
        main = {"name": "main", "image": "none", "command": ["sh", "-c", script]}
        apply(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": self.name,
                    "namespace": namespace,
                    "labels": LABELS,
                },
                "spec": {
                    "containers": [{**main, **container}],
                    "volumes": list(volumes),
                    "terminationGracePeriodSeconds": grace,
                },
            }
        )

    @property
    def found(self):
        (pod,) = objects("-n", self.namespace, "pod", self.name)
        return pod

    @property
    def container(self):
        return self.found["status"].get("containerStatuses", [{}])[0]

    def is_ready(self):
        return condition(self.found, "Ready") == "True"

    def wait(self):
        wait_until(self.is_ready)

    def delete(self):
        kubectl("-n", self.namespace, "delete", "pod", self.name, "--timeout=30s")


def probe(**what):
    return {"periodSeconds": 1, "failureThreshold": 2, **what}


def executed(script):
    return {"exec": {"command": ["sh", "-c", script]}}


def test_a_container_has_separate_files_and_processes_and_a_subpath_of_a_volume(
    namespace, tmp_path
):
    see = "echo $POD $$$$; ls /tmp/private; df -k /dev/shm | tail -1"
    pod = Pod(
        namespace,
        f"touch /tmp/private; ({see}) > /mnt/data/seen; sleep 60",
        env=[
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
        ],
        readinessProbe=probe(**executed("grep -q /dev/shm /mnt/data/seen")),
        volumeMounts=[
            {"name": "data", "mountPath": "/mnt/data", "subPathExpr": "of/$(POD)"},
            {"name": "memory", "mountPath": "/dev/shm"},
        ],
        volumes=[
            {"name": "data", "hostPath": {"path": str(tmp_path)}},
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "8Mi"}},
        ],
    )
    pod.wait()
    seen = (tmp_path / "of" / pod.name / "seen").read_text().split()
    assert seen[:3] == [pod.name, "1", "/tmp/private"]
    assert "8192" in seen
    pod.delete()


def test_the_hook_runs_in_the_container_before_sigterm_and_both_have_a_grace_period(
    namespace, tmp_path
):
    pod = Pod(
        namespace,
        "trap 'echo signal >> /mnt/log/log' TERM; while true; do sleep 0.2; done",
        lifecycle={
            "preStop": executed("echo hook in $(ls /proc | head -1) >> /mnt/log/log")
        },
        grace=3,
        volumeMounts=[{"name": "log", "mountPath": "/mnt/log"}],
        volumes=[{"name": "log", "hostPath": {"path": str(tmp_path / "log")}}],
        readinessProbe=probe(**executed("true")),
    )
    pod.wait()
    pod.delete()
    assert (tmp_path / "log" / "log").read_text().split("\n")[:2] == [
        "hook in 1",
        "signal",
    ]


def test_the_other_probes_wait_for_the_startup_probe(namespace):
    pod = Pod(
        namespace,
        "sleep 60",
        startupProbe=probe(**executed("test -f /tmp/started"), failureThreshold=30),
        readinessProbe=probe(**executed("true")),
        livenessProbe=probe(**executed("true")),
    )
    wait_until(lambda: "running" in pod.container.get("state", {}))
    assert not pod.is_ready()
    assert pod.container["started"] is False


def test_a_container_that_fails_its_liveness_probe_is_restarted(namespace):
    pod = Pod(
        namespace,
        "sleep 60",
        livenessProbe=probe(**executed("false")),
    )
    wait_until(lambda: pod.container.get("restartCount", 0) > 0)


def test_probes_find_ports_by_name(namespace):
    pod = Pod(
        namespace,
        f"exec {sys.executable} -m http.server 8123",
        ports=[{"containerPort": 8123, "name": "web"}],
        readinessProbe=probe(httpGet={"port": "web", "path": "/"}),
        livenessProbe=probe(tcpSocket={"port": "web"}, initialDelaySeconds=5),
    )
    pod.wait()
    assert pod.container["restartCount"] == 0


def test_an_unsupported_mount_path_is_reported(namespace):
    pod = Pod(
        namespace,
        "true",
        volumeMounts=[{"name": "data", "mountPath": "/nowhere"}],
        volumes=[{"name": "data", "emptyDir": {}}],
    )
    wait_until(lambda: "not at /nowhere" in str(pod.container.get("state")))
