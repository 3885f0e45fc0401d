"""What a RayService, its pods and its worker groups say, as values of ours."""

from __future__ import annotations

import json

import pytest

from infra.kubernetes.ray_service import GROUP_LABEL
from raylift.errors import CannotWork
from raylift.ray_service import trouble_of
from serve_runtime.capacity import missing
from serve_runtime.dashboard import Node, reason
from serve_runtime.kubernetes_cluster import config_of, served_at
from serve_runtime.worker_groups import could_join


def _group(name, bounds, limits, **more):
    container = {"name": "ray-worker", "resources": {"limits": limits}}
    spec = {"containers": [container]}
    return {
        "groupName": name,
        "maxReplicas": bounds,
        "rayStartParams": {},
        "template": {"metadata": {"labels": {GROUP_LABEL: name}}, "spec": spec},
        **more,
    }


def _node(group, **resources):
    labels = {"ray.io/node-group": group}
    return Node("n", is_head=False, alive=True, resources=resources, labels=labels)


def _cluster(*groups):
    return {"spec": {"workerGroupSpecs": list(groups)}}


def test_what_may_still_come_is_what_the_bounds_leave():
    gpu = {"cpu": "3500m", "memory": "16Gi", "nvidia.com/gpu": "1"}
    cluster = _cluster(
        _group("cpu", 2, {"cpu": "2", "memory": "4Gi"}),
        _group("l4", 3, gpu, resources={"fast": "2"}),
        _group("off", 0, gpu),
    )
    there = [_node("cpu", CPU=2), _node("l4"), _node("cpu", CPU=2)]
    left = could_join(cluster, there)
    assert [node.labels["ray.io/node-group"] for node in left] == ["l4", "l4"]
    size = {"CPU": 3.5, "GPU": 1.0, "memory": 16 * 2**30, "fast": 2.0}
    assert left[0].resources == size


def test_a_start_parameter_wins_over_the_size_of_the_pod():
    start = {"num-cpus": "0", "num-gpus": "2"}
    group = _group("odd", 1, {"cpu": "2"}, rayStartParams=start)
    (node,) = could_join(_cluster(group), [])
    assert node.resources == {"CPU": 0.0, "GPU": 2.0}


def test_a_replica_that_only_a_node_to_come_can_hold_is_not_hopeless():
    coming = [_node("l4", CPU=4, GPU=1)]
    assert missing({"GPU": 1}, [_node("cpu", CPU=2)], coming) == ""
    assert missing({"GPU": 1, "accelerator_type:L4": 0.001}, [], coming) == ""
    assert missing({"GPU": 2}, [], coming) == "needs GPU 2, the largest node has 1"


@pytest.mark.parametrize(
    ("text", "applications"),
    [
        ("applications: []\n", []),
        ('{"applications": [{"name": "a"}]}', [{"name": "a"}]),
        ("applications:\n  - name: a # by hand\n", [{"name": "a"}]),
        (
            "applications: [{args: {day: 2026-01-02}}]",
            [{"args": {"day": "2026-01-02"}}],
        ),
        (None, None),
    ],
)
def test_a_serve_config_is_read_whoever_wrote_it(text, applications):
    service = {"metadata": {"name": "demo"}, "spec": {"serveConfigV2": text}}
    assert config_of(service).get("applications") == applications


@pytest.mark.parametrize(
    "text",
    ["- a\n", "{", "a: [", "just text", "applications: [a]", "applications: {a: 1}"],
)
def test_a_serve_config_that_is_none_is_told(text):
    service = {"metadata": {"name": "demo"}, "spec": {"serveConfigV2": text}}
    with pytest.raises(CannotWork, match="RayService demo is not a Serve config"):
        config_of(service)


def test_pods_have_one_address_whatever_a_file_says():
    asked = {"http_options": {"port": 1, "keep_alive_timeout_s": 9}, "applications": []}
    served = served_at(asked | {"grpc_options": {"port": 2}})
    kept = {"keep_alive_timeout_s": 9, "host": "0.0.0.0", "port": 8000}
    assert served["http_options"] == kept
    assert served["grpc_options"] == {"port": 9000}
    assert "grpc_options" not in served_at(asked)


@pytest.mark.parametrize(
    ("status", "told"),
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
                    {"state": {"waiting": {"reason": "PodInitializing"}}}
                ]
            },
            "",
        ),
    ],
)
def test_a_pod_says_why_it_does_not_run(status, told):
    trouble = trouble_of({"metadata": {"name": "w"}, "status": status})
    assert str(trouble or "") == (told and f"pod w: {told}")


def test_what_pydantic_refuses_is_told_with_its_place():
    text = "1 validation error for ServeDeploySchema\napplications.1.import_path\n"
    text += "  Input should be a valid string [type=string_type]\n"
    told = "applications.1.import_path: Input should be a valid string"
    assert reason(text).startswith(told)
    assert reason(json.dumps({"msg": "no"})) == "no"
