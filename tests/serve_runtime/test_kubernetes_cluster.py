"""RayServices, pods and worker groups, read as values."""

from __future__ import annotations

import json

import pytest

from raylift.errors import FailedPrecondition
from raylift.infra.kubernetes.object_scope import GROUP_LABEL
from raylift.ray_service_client import described
from raylift.serve_runtime.cluster.serve_config_v2 import config_of, with_pod_address
from raylift.serve_runtime.ray_api.dashboard import RayNode, reason
from raylift.serve_runtime.release import merged
from raylift.serve_runtime.status.capacity import missing
from raylift.serve_runtime.status.potential_nodes import potential_nodes


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
    return RayNode("n", is_head=False, alive=True, resources=resources, labels=labels)


def _cluster(*groups):
    return {"spec": {"workerGroupSpecs": list(groups)}}


def test_potential_nodes_are_those_within_the_bounds():
    gpu = {"cpu": "3500m", "memory": "16Gi", "nvidia.com/gpu": "1"}
    cluster = _cluster(
        _group("cpu", 2, {"cpu": "2", "memory": "4Gi"}),
        _group("l4", 3, gpu, resources={"fast": "2"}),
        _group("off", 0, gpu),
    )
    existing = [_node("cpu", CPU=2), _node("l4"), _node("cpu", CPU=2)]
    left = potential_nodes(cluster, existing)
    assert [node.labels["ray.io/node-group"] for node in left] == ["l4", "l4"]
    size = {"CPU": 3.5, "GPU": 1.0, "memory": 16 * 2**30, "fast": 2.0}
    assert left[0].resources == size


def test_a_start_parameter_takes_precedence_over_pod_resources():
    start = {"num-cpus": "0", "num-gpus": "2"}
    group = _group("odd", 1, {"cpu": "2"}, rayStartParams=start)
    (node,) = potential_nodes(_cluster(group), [])
    assert node.resources == {"CPU": 0.0, "GPU": 2.0}


def test_a_replica_that_fits_a_potential_node_is_feasible():
    coming = [_node("l4", CPU=4, GPU=1)]
    assert missing({"GPU": 1}, [_node("cpu", CPU=2)], coming) == ""
    assert missing({"GPU": 1, "accelerator_type:L4": 0.001}, [], coming) == ""
    assert missing({"GPU": 2}, [], coming) == "needs 2 GPU, but the largest node has 1"


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
def test_a_serve_config_may_be_json_or_yaml(text, applications):
    service = {"metadata": {"name": "demo"}, "spec": {"serveConfigV2": text}}
    assert config_of(service).get("applications") == applications


@pytest.mark.parametrize(
    "text",
    ["- a\n", "{", "a: [", "just text", "applications: [a]", "applications: {a: 1}"],
)
def test_an_invalid_serve_config_is_refused(text):
    service = {"metadata": {"name": "demo"}, "spec": {"serveConfigV2": text}}
    with pytest.raises(
        FailedPrecondition, match="RayService demo is not a Serve config"
    ):
        config_of(service)


def test_pods_have_a_fixed_address():
    asked = {"http_options": {"port": 1, "keep_alive_timeout_s": 9}, "applications": []}
    served = with_pod_address(asked | {"grpc_options": {"port": 2}})
    kept = {"keep_alive_timeout_s": 9, "host": "0.0.0.0", "port": 8000}
    assert served["http_options"] == kept
    assert served["grpc_options"] == {"port": 9000}
    assert "grpc_options" not in with_pod_address(asked)


def test_a_validation_error_is_reported_with_its_path():
    text = "1 validation error for ServeDeploySchema\napplications.1.import_path\n"
    text += "  Input should be a valid string [type=string_type]\n"
    expected = "applications.1.import_path: Input should be a valid string"
    assert reason(text).startswith(expected)
    assert reason(json.dumps({"msg": "no"})) == "no"


def test_changed_documents_come_first_because_ray_stops_at_one_that_it_rejects():
    before = {"theirs": {"name": "theirs"}, "mine": {"name": "mine"}, "gone": {}}
    after = merged(before, {"mine": {"name": "mine", "args": {}}, "gone": None})
    assert list(after) == ["mine", "theirs"]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "[]",
        '"demo"',
        "[[1, 2]]",
        '{"stack": "other"}',
        '{"stack": "demo", "rayVersion": 2.6}',
        '{"stack": "demo\\nerror: forged"}',
        '{"stack": null}',
        "[" * 100_000,
    ],
)
def test_an_edited_description_is_refused(text):
    data = {} if text is None else {"outputs.json": text}
    config_map = {"metadata": {"name": "demo-raylift"}, "data": data}
    with pytest.raises(FailedPrecondition, match="does not describe a stack"):
        described(config_map)


def test_a_description_contains_the_outputs_of_the_stack():
    text = json.dumps({"version": 1, "stack": "demo", "rayVersion": "2.60.0"})
    config_map = {
        "metadata": {"name": "demo-raylift"},
        "data": {"outputs.json": text},
    }
    assert described(config_map)["rayVersion"] == "2.60.0"
