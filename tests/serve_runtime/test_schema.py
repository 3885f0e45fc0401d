"""Every key, choice and bound of the installed Ray is in the schema."""

from __future__ import annotations

import enum
import typing
import warnings

import pydantic
import pytest

from raylift.errors import InvalidInput
from raylift.serve_runtime.serve_config import schema as ours
from raylift.serve_runtime.serve_config.config import check
from raylift.strict_model import validate
from raylift.yaml_document import Document

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from ray.runtime_env import RuntimeEnv
    from ray.serve import config as ray_config
    from ray.serve import schema as rays

PAIRS = {
    ours.ServeDeploy: rays.ServeDeploySchema,
    ours.HTTPOptions: rays.HTTPOptionsSchema,
    ours.GRPCOptions: rays.gRPCOptionsSchema,
    ours.ControllerOptions: ray_config.ControllerOptions,
    ours.LoggingConfig: rays.LoggingConfig,
    ours.TracingConfig: rays.TracingConfig,
    ours.Application: rays.ServeApplicationSchema,
    ours.Deployment: rays.DeploymentSchema,
    ours.BackpressureConfig: ray_config.BackpressureConfig,
    ours.AutoscalingConfig: ray_config.AutoscalingConfig,
    ours.AutoscalingPolicy: ray_config.AutoscalingPolicy,
    ours.RayActorOptions: rays.RayActorOptionsSchema,
    ours.RequestRouterConfig: ray_config.RequestRouterConfig,
    ours.GangSchedulingConfig: ray_config.GangSchedulingConfig,
    ours.DeploymentActorConfig: ray_config.DeploymentActorConfig,
}
# Ray accepts these in the single-application format only.
SINGLE_APPLICATION = {ours.Application: {"host", "port"}}


@pytest.mark.parametrize("model", PAIRS, ids=lambda m: m.__name__)
def test_every_key_of_a_model_is_rays_and_every_key_of_rays_is_there(model):
    expected = PAIRS[model].model_fields.keys() - SINGLE_APPLICATION.get(model, set())
    assert model.model_fields.keys() == expected


def test_every_model_that_rays_schema_uses_has_its_pair():
    found: set[type] = set()
    _collect(rays.ServeDeploySchema, found)
    assert found == set(PAIRS.values())


def _collect(model: type, found: set[type]) -> None:
    if model in found:
        return
    found.add(model)
    for field in model.model_fields.values():
        for part in _parts(field.annotation):
            if isinstance(part, type) and issubclass(part, pydantic.BaseModel):
                _collect(part, found)


def _parts(annotation):
    yield annotation
    for argument in typing.get_args(annotation):
        yield from _parts(argument)


def test_every_key_of_a_runtime_env_is_rays():
    keys = {f.alias or n for n, f in ours.RuntimeEnv.model_fields.items()}
    set_by_ray_itself = {"_inject_current_ray", "_ray_commit", "_ray_release"}
    assert keys == RuntimeEnv.known_fields - set_by_ray_itself


def _slips(word: str) -> list[str]:
    middle = len(word) // 2
    return [word[:-1], word[:middle] + word[middle:][:1] + word[middle:], word + "s"]


@pytest.mark.parametrize("model", PAIRS, ids=lambda m: m.__name__)
def test_a_slip_in_any_key_is_refused_and_nearly_always_understood(model):
    understood, slips = 0, 0
    for key in model.model_fields:
        for slip in set(_slips(key)) - model.model_fields.keys():
            _, problems = validate(model, {slip: 1}, location=lambda _: "f:1")
            said = [p.text for p in problems if p.text.startswith(f"{slip}: ")]
            assert len(said) == 1
            slips += 1
            understood += f"did you mean {key}?" in said[0]
    assert understood >= slips * 0.9


CHOICES = {
    ("proxy_location",): (ours.ServeDeploy, rays.ServeDeploySchema),
    ("aggregation_function",): (ours.AutoscalingConfig, ray_config.AutoscalingConfig),
    ("gang_placement_strategy",): (
        ours.GangSchedulingConfig,
        ray_config.GangSchedulingConfig,
    ),
    ("runtime_failure_policy",): (
        ours.GangSchedulingConfig,
        ray_config.GangSchedulingConfig,
    ),
    ("encoding",): (ours.LoggingConfig, rays.LoggingConfig),
}


@pytest.mark.parametrize("key", CHOICES, ids=lambda k: k[0])
def test_the_choices_of_a_key_are_rays(key):
    our_model, ray_model = CHOICES[key]
    theirs = [
        part
        for part in _parts(ray_model.model_fields[key[0]].annotation)
        if isinstance(part, type) and issubclass(part, enum.Enum)
    ]
    expected = {member.value for member in theirs[0]}
    assert set(typing.get_args(our_model.model_fields[key[0]].annotation)) == expected


def _with(**deployment) -> dict:
    return {
        "applications": [
            {"import_path": "m:a", "deployments": [{"name": "D", **deployment}]}
        ]
    }


BOUNDS = [
    _with(num_replicas=value) for value in (0, 1, "auto", "x", None)
] + [
    _with(**{key: value})
    for key in (
        "max_ongoing_requests", "max_queued_requests", "graceful_shutdown_timeout_s",
        "graceful_shutdown_wait_loop_s", "health_check_period_s",
        "health_check_timeout_s", "rolling_update_percentage", "max_surge_percent",
        "max_replicas_per_node",
    )
    for value in (-2, -1, 0, 1, 100, 101)
] + [
    _with(autoscaling_config={key: value, "max_replicas": 5})
    for key in (
        "min_replicas", "initial_replicas", "target_ongoing_requests",
        "upscale_delay_s", "downscale_delay_s", "look_back_period_s",
        "downscale_to_zero_delay_s", "upscaling_factor",
    )
    for value in (-1, 0, 1, 5, 6)
] + [
    _with(ray_actor_options={key: value})
    for key in ("num_cpus", "num_gpus", "memory")
    for value in (-1, 0, 0.5, 1)
] + [
    {"applications": [], "target_capacity": value} for value in (-1, 0, 50, 100, 101)
] + [
    _with(num_replicas=2, autoscaling_config={"max_replicas": 3}),
    _with(autoscaling_config={"min_replicas": 3, "max_replicas": 2}),
    _with(placement_group_strategy="PACK"),
    _with(placement_group_bundles=[{"CPU": 1}], max_replicas_per_node=1),
    _with(num_replicas=3, gang_scheduling_config={"gang_size": 2}),
    _with(backpressure_config={"status_code": 500}),
    _with(request_router_config={"max_backoff_s": 0}),
]  # fmt: skip


@pytest.mark.parametrize("value", BOUNDS, ids=str)
def test_what_ray_refuses_we_refuse(tmp_path, value):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        accepted = _ray_accepts(value)
    try:
        check(Document("serve.yaml", value, {}), folder=tmp_path)
        ours_accepts = True
    except InvalidInput:
        ours_accepts = False
    assert ours_accepts == (accepted and value not in STRICTER)


def _ray_accepts(value: dict) -> bool:
    """Validate with Ray's model of a file and with those that it applies later."""
    later = {
        "autoscaling_config": ray_config.AutoscalingConfig,
        "request_router_config": ray_config.RequestRouterConfig,
        "gang_scheduling_config": ray_config.GangSchedulingConfig,
    }
    try:
        rays.ServeDeploySchema.model_validate(value)
        for application in value["applications"]:
            for deployment in application["deployments"]:
                for key in later.keys() & deployment.keys():
                    later[key].model_validate(deployment[key])
    except (ValueError, TypeError):
        return False
    return True


# Ray accepts these, and fails later or does something unexpected.
STRICTER = [
    *(_with(max_replicas_per_node=value) for value in (-2, -1, 0, 101)),
    _with(num_replicas=2, autoscaling_config={"max_replicas": 3}),
    _with(placement_group_strategy="PACK"),
    _with(autoscaling_config={"initial_replicas": 0, "max_replicas": 5}),
    _with(autoscaling_config={"initial_replicas": 6, "max_replicas": 5}),
]
