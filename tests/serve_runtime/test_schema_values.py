# ruff: noqa: E501 a case is a line
"""Values of every key: all that Ray rejects are rejected, and some more."""

from __future__ import annotations

import json
import math
import warnings

import pytest

from raylift.serve_runtime.serve_config import schema as ours
from raylift.serve_runtime.serve_config.runtime_env import RuntimeEnv
from raylift.strict_model import validate

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ray._common.logging_constants import LOGRECORD_STANDARD_ATTRS
    from ray._common.runtime_env_uri import Protocol
    from ray._private.label_utils import validate_label_selector
    from ray.serve import config as ray_config
    from ray.serve import schema as rays

PAIRS = {
    ours.ServeDeploy: (rays.ServeDeploySchema, {"applications": []}),
    ours.HTTPOptions: (rays.HTTPOptionsSchema, {}),
    ours.GRPCOptions: (rays.gRPCOptionsSchema, {}),
    ours.ControllerOptions: (ray_config.ControllerOptions, {}),
    ours.LoggingConfig: (rays.LoggingConfig, {}),
    ours.TracingConfig: (rays.TracingConfig, {}),
    ours.Application: (rays.ServeApplicationSchema, {"import_path": "m:a"}),
    ours.Deployment: (rays.DeploymentSchema, {"name": "D"}),
    ours.BackpressureConfig: (ray_config.BackpressureConfig, {}),
    ours.AutoscalingConfig: (ray_config.AutoscalingConfig, {}),
    ours.AutoscalingPolicy: (ray_config.AutoscalingPolicy, {}),
    ours.RayActorOptions: (rays.RayActorOptionsSchema, {}),
    ours.RequestRouterConfig: (ray_config.RequestRouterConfig, {}),
    ours.GangSchedulingConfig: (ray_config.GangSchedulingConfig, {"gang_size": 1}),
    ours.DeploymentActorConfig: (
        ray_config.DeploymentActorConfig,
        {"name": "n", "actor_class": "m:A"},
    ),
}
NUMBERS = (-2, -1, 0, 1, 2, 3, 10, 15, 20, 100, 101, 429, 503, 65535, 65536)
FRACTIONS = (-0.5, 0.5, 1.5)
WORDS = ("", "x", "m:a", "/x", "auto", "PACK", "STRICT_PACK", "INFO", "info", "FATAL")
MORE_WORDS = ("JSON", "mean", "median", "HeadOnly", "RESTART_REPLICA", "s3://b/x.zip")
LISTS = ([], ["x"], ["thread"], ["m:a"], [1], [None], [{}], [{"CPU": 1}], [{"a": "b"}])
MAPPINGS = ({}, {"a": 1}, {"a": "b"}, {"name": "a"}, {"env_vars": {"A": "b"}})
PROBES = (None, True, *NUMBERS, *FRACTIONS, *WORDS, *MORE_WORDS, *LISTS, *MAPPINGS)

# Ray imports these when it reads the file, in a process with the user's code.
IMPORTED_BY_RAY = {"policy_function", "request_router_class"}
# Keys for which raylift rejects more than Ray, with the reason.
STRICTER = {
    "name": "part of file names and log names here",
    "route_prefix": "a path that no request has when it arrives",
    "import_path": "Ray's other form, module.attribute, says less in an error",
    "port": "Ray fails late: no such port",
    "request_timeout_s": "every request would fail",
    "keep_alive_timeout_s": "a time below zero",
    "ssl_keyfile": "Ray checks the pair only if the certificate is given",
    "placement_group_strategy": "Ray answers late: not without bundles, or unknown",
    "placement_group_bundles": "Ray answers late: less than nothing of a resource",
    "max_replicas_per_node": "Ray answers late: 1 to 100",
    "num_gpus": "Ray answers late: above 1 only whole GPUs",
    "resources": "Ray answers late: numbers, not below 0",
    "actor_class": "Ray imports it late",
    "policy_function": "Ray imports it late",
    "request_router_class": "as policy_function, which Ray does not take empty",
}
# Ray validates these only when the deployment starts, and ignores unknown keys.
NESTED = {"autoscaling_policy", "autoscaling_config", "policy", "request_router_config"}
NESTED |= {"deployment_actors", "gang_scheduling_config", "deployments"}
NESTED |= {"ray_actor_options", "http_options", "grpc_options", "runtime_env"}


def _we_take(model: type, value: dict) -> bool:
    return validate(model, value, location=lambda _: "f")[0] is not None


def _ray_takes(model: type, value: dict, *, converting: bool) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.model_validate_json(json.dumps(value), strict=not converting)
        except Exception:  # noqa: BLE001 Ray raises what it likes, also ImportError
            return False
    return True


CASES = [(model, key) for model in PAIRS for key in model.model_fields]
ids = [f"{model.__name__}.{key}" for model, key in CASES]


@pytest.mark.parametrize(("model", "key"), CASES, ids=ids)
def test_no_value_that_ray_refuses_is_taken(model, key):
    rays_model, rest = PAIRS[model]
    if key in IMPORTED_BY_RAY:
        return
    taken = [
        probe
        for probe in PROBES
        if _we_take(model, {**rest, key: probe})
        and not _ray_takes(rays_model, {**rest, key: probe}, converting=True)
    ]
    assert taken == []


@pytest.mark.parametrize(("model", "key"), CASES, ids=ids)
def test_a_value_that_ray_takes_as_it_is_is_refused_only_for_a_stated_reason(
    model, key
):
    rays_model, rest = PAIRS[model]
    refused = [
        probe
        for probe in PROBES
        if not _we_take(model, {**rest, key: probe})
        and _ray_takes(rays_model, {**rest, key: probe}, converting=False)
        # Its __init__ in Ray converts values despite `strict`.
        and not (probe is True and model is ours.RequestRouterConfig)
    ]
    assert refused == [] or key in STRICTER.keys() | NESTED


SELECTORS = [
    "x", "", "!x", "in(a)", "in(a, b)", "in(a,b)", "!in(a, b)", "(a)", "in()", "in(a", "!!x",
    "-x", "x-", "a b", "not(a)", "a" * 63, "a" * 64, "ü", "in(a,  b)", "in(a, )", "x\n",
]  # fmt: skip
LABELS = [
    "a",
    "a/b",
    "a.b/c",
    "/b",
    "a/",
    "a/b/c",
    "-a",
    "a-/b",
    "a" * 64,
    "é",
    "a..b/c",
]
LABELS += [f"{'a' * 63}.{'b' * 63}.{'c' * 63}.{'d' * 61}/x", "a b", "", "a\n"]


@pytest.mark.parametrize("key", LABELS)
@pytest.mark.parametrize("value", SELECTORS)
def test_a_label_selector_is_taken_if_and_only_if_ray_takes_it(key, value):
    selector = {key: value}
    taken = _we_take(ours.RayActorOptions, {"label_selector": selector})
    no_prefix = key == "/b"  # Ray accepts it, but no label has such a key
    assert taken == (validate_label_selector(selector) is None and not no_prefix)


def test_the_attributes_of_a_log_record_are_rays():
    taken = {
        name
        for name in [*LOGRECORD_STANDARD_ATTRS, "thred", ""]
        if _we_take(ours.LoggingConfig, {"additional_log_standard_attrs": [name]})
    }
    assert taken == LOGRECORD_STANDARD_ATTRS


def test_the_schemes_of_an_address_are_rays_but_for_those_of_no_package():
    no_packages = {"conda", "pip", "uv"}
    schemes = {protocol.value for protocol in Protocol}
    taken = {
        scheme
        for scheme in [*schemes, "ftp", "x", "S3"]
        if any(
            _we_take(RuntimeEnv, {"py_modules": [f"{scheme}://{path}"]})
            for path in ("a.zip", "/a")
        )
    }
    assert taken == schemes - no_packages


@pytest.mark.parametrize("model", PAIRS, ids=lambda model: model.__name__)
def test_no_number_that_is_not_finite_is_taken(model):
    _, rest = PAIRS[model]
    for key in model.model_fields:
        for number in (math.inf, -math.inf, math.nan):
            value = {**rest, key: number}
            assert key == "log_level" or not _we_take(model, value)


AGREE = {
    "a selector of bundles that are not there": {"placement_group_bundle_label_selector": [{}]},
    "two selectors for three bundles": {"placement_group_bundles": 3 * [{"CPU": 1}], "placement_group_bundle_label_selector": 2 * [{"a": "b"}]},
    "no bundles and a limit on a node": {"placement_group_bundles": [], "max_replicas_per_node": 1},
    "a gang and a limit on a node": {"gang_scheduling_config": {"gang_size": 1}, "max_replicas_per_node": 1},
    "a gang and a strategy": {"gang_scheduling_config": {"gang_size": 1}, "placement_group_strategy": "PACK"},
    "a gang that does not divide the most": {"num_replicas": "auto", "autoscaling_config": {"max_replicas": 3}, "gang_scheduling_config": {"gang_size": 2}},
    "a gang that does not divide the least": {"num_replicas": "auto", "autoscaling_config": {"min_replicas": 1, "max_replicas": 2}, "gang_scheduling_config": {"gang_size": 2}},
    "a gang that does not divide": {"num_replicas": 3, "gang_scheduling_config": {"gang_size": 2}},
}  # fmt: skip
TAKEN = {
    "one selector for three bundles": {"placement_group_bundles": 3 * [{"CPU": 1}], "placement_group_bundle_label_selector": [{"a": "b"}]},
    "a selector for each bundle": {"placement_group_bundles": 2 * [{"CPU": 1}], "placement_group_bundle_label_selector": 2 * [{"a": "b"}]},
    "a gang that divides": {"num_replicas": "auto", "autoscaling_config": {"min_replicas": 2, "max_replicas": 4}, "gang_scheduling_config": {"gang_size": 2}},
    "a gang and defaults": {"num_replicas": "auto", "autoscaling_config": {"max_replicas": 4}, "gang_scheduling_config": {"gang_size": 4}},
    "a gang alone": {"gang_scheduling_config": {"gang_size": 4}},
}  # fmt: skip


@pytest.mark.parametrize("name", AGREE | TAKEN)
def test_keys_that_do_not_go_together_are_those_of_ray(name):
    value = {"name": "D", **(AGREE | TAKEN)[name]}
    assert _ray_takes(rays.DeploymentSchema, value, converting=True) == (name in TAKEN)
    assert _we_take(ours.Deployment, value) == (name in TAKEN)


@pytest.mark.parametrize("deployment", [{"num_replicas": "auto"}, {"num_replicas": 2}])
def test_an_external_scaler_beside_autoscaling_is_as_in_ray(deployment):
    value = {
        "import_path": "m:a",
        "external_scaler_enabled": True,
        "deployments": [{"name": "D", **deployment}],
    }
    taken = _we_take(ours.Application, value)
    assert taken == _ray_takes(rays.ServeApplicationSchema, value, converting=True)
    assert taken == (deployment["num_replicas"] == 2)
