"""Ray's own keys of a Serve config, one model per Ray model, unknown keys refused.

Ray itself ignores an unknown key and answers 200. Names, types and bounds are those
of ray/serve/schema.py and ray/serve/config.py in Ray 2.60.0; a test compares every
key and enum with the installed Ray. Values stay as the user wrote them: the models
check, the file's own mapping is what Ray receives.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from raylift.model import Strict
from raylift.wording import kind


def _number(value: object) -> object:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole else value  # type: ignore[arg-type]


def _import_path(value: str) -> str:
    if value == "ray.serve.drivers:DAGDriver" or "DAGDriver" in value:
        raise ValueError(
            "DAGDriver is gone from Ray: bind deployments to each other and name the"
            " outermost one"
        )
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", value) or ".." in value:
        raise ValueError(f"must be module:attribute, not {kind(value)}")
    return value


def _route(value: str | None) -> str | None:
    if value is None:
        return None
    if not value.startswith("/"):
        raise ValueError(f"must start with '/', not {kind(value)}")
    if value != "/" and value.endswith("/"):
        raise ValueError(f"must not end with '/', not {kind(value)}")
    if re.search(r"[{}\s?#]|//", value):
        raise ValueError("may not hold spaces, '//', '?', '#', '{' or '}'")
    return value


def _app_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?", value):
        raise ValueError(
            "must be letters, digits, '-', '_' or '.', at most 63 characters"
        )
    return value


def _replicas(value: object) -> object:
    if value is None or value == "auto":
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(  # noqa: TRY004 pydantic turns only a ValueError into a problem
            f"must be a whole number or auto, not {kind(value)}"
        )
    if value < 1:
        raise ValueError(
            f"must be greater than 0, not {value}; to scale to zero use"
            " autoscaling_config with min_replicas: 0"
        )
    return value


def _queue(value: int) -> int:
    if value < -1 or value == 0:
        raise ValueError(f"must be -1 (no bound) or greater than 0, not {value}")
    return value


def _dotted(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[\w.]+[:.]\w+", value):
        raise ValueError(f"must be module:attribute, not {kind(value)}")
    return value


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Positive = Annotated[float, BeforeValidator(_number), Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[
    float, BeforeValidator(_number), Field(ge=0, allow_inf_nan=False)
]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(gt=0)]
Name = Annotated[str, AfterValidator(_app_name)]
ImportPath = Annotated[str, AfterValidator(_import_path)]
Imported = Annotated[Any, BeforeValidator(_dotted)]
Bundle = dict[str, NotNegative]


class RuntimeEnv(Strict):
    """A Ray `runtime_env`; ray/runtime_env/runtime_env.py, known_fields."""

    py_modules: list[str] | None = None
    py_executable: str | None = None
    working_dir: str | None = None
    pip: Any = None
    uv: Any = None
    conda: Any = None
    java_jars: list[str] | None = None
    container: dict[str, Any] | None = None
    image_uri: str | None = None
    excludes: list[str] | None = None
    env_vars: dict[str, str] | None = None
    nsight: Any = Field(default=None, alias="_nsight")
    rocprof_sys: Any = Field(default=None, alias="_rocprof_sys")
    config: dict[str, Any] | None = None
    worker_process_setup_hook: str | None = None

    @model_validator(mode="after")
    def _one_package_manager(self) -> RuntimeEnv:
        given = [name for name in ("pip", "uv", "conda") if getattr(self, name)]
        if len(given) > 1:
            raise ValueError(f"{given[0]} beside {given[1]}: Ray takes one of them")
        return self


class LoggingConfig(Strict):
    """ray.serve.schema.LoggingConfig."""

    encoding: Literal["TEXT", "JSON"] = "TEXT"
    log_level: Any = "INFO"
    logs_dir: str | None = None
    enable_access_log: bool = True
    additional_log_standard_attrs: list[str] = []

    @model_validator(mode="after")
    def _level_exists(self) -> LoggingConfig:
        levels = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG", "NOTSET")
        level = self.log_level
        if isinstance(level, int) and not isinstance(level, bool):
            return self
        if not isinstance(level, str) or level.upper() not in levels:
            raise ValueError(f"log_level must be one of {', '.join(levels)}")
        return self


class BackpressureConfig(Strict):
    """ray.serve.config.BackpressureConfig."""

    status_code: Literal[503, 429] = 503
    retry_after_s: NotNegative | None = None


class AutoscalingPolicy(Strict):
    """ray.serve.config.AutoscalingPolicy."""

    policy_function: Imported = None
    policy_kwargs: dict[str, Any] = {}


class AutoscalingConfig(Strict):
    """ray.serve.config.AutoscalingConfig."""

    replaced = {
        "target_num_ongoing_requests_per_replica": "is ignored by Ray today; its name"
        " now is target_ongoing_requests",
        "policy_name": "is gone; use policy: {policy_function: …}",
    }

    min_replicas: Annotated[int, Field(ge=0)] = 1
    initial_replicas: Annotated[int, Field(ge=0)] | None = None
    max_replicas: Count = 1
    target_ongoing_requests: Positive | None = None
    metrics_interval_s: Positive = 10.0
    look_back_period_s: Positive = 30.0
    smoothing_factor: Positive = 1.0
    upscale_smoothing_factor: Positive | None = None
    downscale_smoothing_factor: Positive | None = None
    upscaling_factor: Positive | None = None
    downscaling_factor: Positive | None = None
    downscale_delay_s: NotNegative = 600.0
    downscale_to_zero_delay_s: NotNegative | None = None
    upscale_delay_s: NotNegative = 30.0
    aggregation_function: Literal["mean", "max", "min"] = "mean"
    policy: AutoscalingPolicy | None = None

    @model_validator(mode="after")
    def _bounds_agree(self) -> AutoscalingConfig:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"min_replicas {self.min_replicas} is above max_replicas"
                f" {self.max_replicas}"
            )
        first = self.initial_replicas
        if first is not None and not self.min_replicas <= first <= self.max_replicas:
            raise ValueError(
                f"initial_replicas {first} is outside {self.min_replicas} to"
                f" {self.max_replicas}"
            )
        return self


class RayActorOptions(Strict):
    """ray.serve.schema.RayActorOptionsSchema."""

    replaced = {
        "object_store_memory": "is gone from Ray Serve; leave it out",
    }

    runtime_env: RuntimeEnv | None = None
    num_cpus: NotNegative | None = None
    num_gpus: NotNegative | None = None
    memory: NotNegative | None = None
    resources: dict[str, NotNegative] = {}
    accelerator_type: str | None = None
    label_selector: dict[str, str] | None = None
    fallback_strategy: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _whole_gpus(self) -> RayActorOptions:
        gpus = self.num_gpus or 0
        if gpus > 1 and gpus != int(gpus):
            raise ValueError(f"num_gpus above 1 must be whole, not {gpus:g}")
        for name in ("CPU", "GPU", "memory"):
            if name in self.resources:
                raise ValueError(f"resources.{name}: use num_cpus, num_gpus or memory")
        return self


class RequestRouterConfig(Strict):
    """ray.serve.config.RequestRouterConfig."""

    request_router_class: Imported = None
    request_router_kwargs: dict[str, Any] = {}
    request_routing_stats_period_s: Positive = 10.0
    request_routing_stats_timeout_s: Positive = 30.0
    initial_backoff_s: Positive = 0.025
    backoff_multiplier: Positive = 2.0
    max_backoff_s: Positive = 0.5


class GangSchedulingConfig(Strict):
    """ray.serve.config.GangSchedulingConfig."""

    gang_size: Annotated[int, Field(ge=1)]
    gang_placement_strategy: Literal["PACK", "SPREAD"] = "PACK"
    runtime_failure_policy: Literal["RESTART_GANG", "RESTART_REPLICA"] = "RESTART_GANG"


class DeploymentActorConfig(Strict):
    """ray.serve.config.DeploymentActorConfig."""

    name: str
    actor_class: Imported
    init_args: list[Any] = []
    init_kwargs: dict[str, Any] = {}
    actor_options: dict[str, Any] = {}


class Deployment(Strict):
    """ray.serve.schema.DeploymentSchema."""

    replaced = {
        "max_concurrent_queries": "is ignored by Ray today; its name now is"
        " max_ongoing_requests",
        "init_args": "is gone: pass them in code, Class.bind(…), or take them from"
        " args: of the application",
        "init_kwargs": "is gone: pass them in code, Class.bind(…), or take them from"
        " args: of the application",
        "import_path": "stands on the application, not on a deployment",
        "route_prefix": "stands on the application, not on a deployment",
        "is_driver_deployment": "is gone from Ray Serve; use proxy_location: EveryNode",
        "num_gpus": "belongs under ray_actor_options",
        "num_cpus": "belongs under ray_actor_options",
    }

    name: str
    num_replicas: Annotated[Any, BeforeValidator(_replicas)] = None
    max_ongoing_requests: Count = 5
    max_queued_requests: Annotated[int, AfterValidator(_queue)] = -1
    backpressure_config: BackpressureConfig | None = None
    user_config: dict[str, Any] | None = None
    autoscaling_config: AutoscalingConfig | None = None
    graceful_shutdown_wait_loop_s: NotNegative = 2.0
    graceful_shutdown_timeout_s: NotNegative = 20.0
    health_check_period_s: Positive = 10.0
    health_check_timeout_s: Positive = 30.0
    ray_actor_options: RayActorOptions | None = None
    placement_group_bundles: list[Bundle] | None = None
    placement_group_strategy: (
        Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"] | None
    ) = None
    placement_group_bundle_label_selector: list[dict[str, str]] | None = None
    max_replicas_per_node: Annotated[int, Field(ge=1, le=100)] | None = None
    logging_config: LoggingConfig | None = None
    request_router_config: RequestRouterConfig | None = None
    gang_scheduling_config: GangSchedulingConfig | None = None
    deployment_actors: list[DeploymentActorConfig] | None = None
    rolling_update_percentage: (
        Annotated[float, BeforeValidator(_number), Field(gt=0, le=1)] | None
    ) = None
    max_surge_percent: Annotated[int, Field(ge=0, le=100)] = 0

    @model_validator(mode="after")
    def _keys_agree(self) -> Deployment:
        given = self.model_fields_set
        if isinstance(self.num_replicas, int) and self.autoscaling_config:
            raise ValueError(
                f"num_replicas: {self.num_replicas} beside autoscaling_config: Ray"
                " takes one of them; write num_replicas: auto or leave it out"
            )
        if "placement_group_strategy" in given and not self.placement_group_bundles:
            raise ValueError("placement_group_strategy needs placement_group_bundles")
        if self.placement_group_bundles and self.max_replicas_per_node:
            raise ValueError(
                "max_replicas_per_node beside placement_group_bundles: Ray takes one"
            )
        gang = self.gang_scheduling_config
        replicas = self.num_replicas
        if gang and isinstance(replicas, int) and replicas % gang.gang_size:
            raise ValueError(
                f"num_replicas {replicas} is not a multiple of gang_size"
                f" {gang.gang_size}"
            )
        return self


class Application(Strict):
    """ray.serve.schema.ServeApplicationSchema without its single-app host and port."""

    replaced = {
        "host": "belongs under http_options at the top of the file",
        "port": "belongs under http_options at the top of the file",
        "num_replicas": "belongs to a deployment, under deployments:",
        "ray_actor_options": "belongs to a deployment, under deployments:",
        "working_dir": "belongs under runtime_env",
    }

    name: Name = "default"
    route_prefix: Annotated[str | None, AfterValidator(_route)] = "/"
    import_path: ImportPath
    runtime_env: RuntimeEnv = RuntimeEnv()
    deployments: list[Deployment] = []
    autoscaling_policy: AutoscalingPolicy | None = None
    args: dict[str, Any] = {}
    logging_config: LoggingConfig | None = None
    external_scaler_enabled: bool = False

    @model_validator(mode="after")
    def _deployment_names_differ(self) -> Application:
        seen: set[str] = set()
        for deployment in self.deployments:
            if deployment.name in seen:
                raise ValueError(f"deployments: two named '{deployment.name}'")
            seen.add(deployment.name)
        return self


class HTTPOptions(Strict):
    """ray.serve.schema.HTTPOptionsSchema."""

    replaced = {
        "location": "is proxy_location, at the top of the file",
        "middlewares": "cannot stand in a file; add them to the FastAPI application",
    }

    host: str = "0.0.0.0"  # noqa: S104 Ray's default, never used by the local target
    port: Port = 8000
    root_path: str = ""
    request_timeout_s: Positive | None = None
    keep_alive_timeout_s: Annotated[int, Field(ge=0)] = 90
    ssl_keyfile: str | None = None
    ssl_certfile: str | None = None
    ssl_keyfile_password: str | None = None
    ssl_ca_certs: str | None = None

    @model_validator(mode="after")
    def _key_and_certificate(self) -> HTTPOptions:
        if bool(self.ssl_keyfile) != bool(self.ssl_certfile):
            raise ValueError("ssl_keyfile and ssl_certfile go together")
        return self


class GRPCOptions(Strict):
    """ray.serve.schema.gRPCOptionsSchema."""

    port: Port = 9000
    grpc_servicer_functions: list[str] = []
    request_timeout_s: Positive | None = None
    enable_reflection: bool = True


class ControllerOptions(Strict):
    """ray.serve.config.ControllerOptions."""

    runtime_env: dict[str, Any] | None = None


class TracingConfig(Strict):
    """ray.serve.schema.TracingConfig."""

    enabled: bool = False
    exporter_import_path: str = ""
    sampling_ratio: Annotated[Number, Field(ge=0, le=1)] = 0.01


class ServeDeploy(Strict):
    """ray.serve.schema.ServeDeploySchema."""

    replaced = {
        "import_path": "is the single-application form; put it under applications:",
        "deployments": "belongs to an application, under applications:",
        "runtime_env": "belongs to an application, under applications:",
        "host": "belongs under http_options",
        "port": "belongs under http_options",
    }

    proxy_location: Literal["EveryNode", "HeadOnly", "Disabled"] = "EveryNode"
    http_options: HTTPOptions = HTTPOptions()
    grpc_options: GRPCOptions = GRPCOptions()
    controller_options: ControllerOptions | None = None
    logging_config: LoggingConfig | None = None
    tracing_config: TracingConfig | None = None
    applications: list[Application]
    target_capacity: Annotated[Number, Field(ge=0, le=100)] | None = None
