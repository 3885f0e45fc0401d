"""The schema of a Serve config: one strict model per model of Ray.

Ray ignores unknown keys and responds with 200; these models reject them. Names, types
and bounds are those of ray/serve/schema.py and ray/serve/config.py in Ray 2.60.0, and a
test compares every key and enum with the installed Ray. The models only validate. Ray
receives the mapping unchanged.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from raylift.messages import did_you_mean, kind, printable
from raylift.serve_runtime.serve_config.runtime_env import (
    ControllerRuntimeEnv,
    ReplicaRuntimeEnv,
    RuntimeEnv,
    conflict,
)
from raylift.strict_model import (
    NotNegative,
    Number,
    Positive,
    Strict,
)

_NAME = r"[^\W\d]\w*"
# importlib imports files whose names are not identifiers, such as price-predict.py.
_MODULE = r"\w[\w-]*"
_IMPORT_PATH = re.compile(rf"{_MODULE}(\.{_MODULE})*:{_NAME}(\.{_NAME})*")
_DOTTED = re.compile(rf"{_MODULE}(\.{_MODULE})*\.{_NAME}")
# ray/_private/label_utils.py
_WORD = r"[a-zA-Z0-9]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?"
_PREFIX = rf"(?=.{{1,253}}$){_WORD}(\.{_WORD})*"
_SELECTOR = rf"!?(in)?\({_WORD}(, ?{_WORD})*\)|!?{_WORD}"
_LEVELS = {
    "CRITICAL": 50, "FATAL": 50, "ERROR": 40, "WARNING": 30, "WARN": 30, "INFO": 20,
    "DEBUG": 10, "NOTSET": 0,
}  # fmt: skip
# ray/_common/logging_constants.py, LOGRECORD_STANDARD_ATTRS
LogAttribute = Literal[
    "args", "asctime", "created", "exc_info", "exc_text", "filename", "funcName",
    "levelname", "levelno", "lineno", "message", "module", "msecs", "msg", "name",
    "pathname", "process", "processName", "relativeCreated", "stack_info", "thread",
    "threadName", "taskName",
]  # fmt: skip


def _not_null(value: object) -> object:
    if value is None:
        raise ValueError("must not be null; set a value or remove the key")
    return value


def _import_path(value: str) -> str:
    if "DAGDriver" in value:
        raise ValueError(
            "DAGDriver was removed from Ray; bind deployments to each other and use"
            " the outermost one"
        )
    if not _IMPORT_PATH.fullmatch(value) and not _DOTTED.fullmatch(value):
        raise ValueError(f"must be module:attribute, not {kind(value)}")
    return value


def _route(value: str | None) -> str | None:
    if value is None:
        return None
    if not value.startswith("/"):
        raise ValueError(f"must start with '/', not {kind(value)}")
    if value != "/" and value.endswith("/"):
        raise ValueError(f"must not end with '/', not {kind(value)}")
    if odd := re.search(r"[^A-Za-z0-9._~!$&'()*+,;=:@/-]|//|/\.\.?(?=/|$)", value):
        # Clients normalize or percent-encode these in the path of a request.
        raise ValueError(f"must not contain '{printable(odd[0])}'")
    if re.match(r"/-(/|$)", value):
        raise ValueError(
            "routes under /-/ are reserved by Ray for health checks and the route list"
        )
    return value


def _selector(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        prefix, slash, name = key.rpartition("/")
        is_label = re.fullmatch(_WORD, name) and (
            not slash or re.fullmatch(_PREFIX, prefix)
        )
        if not is_label or (text and not re.fullmatch(_SELECTOR, text)):
            raise ValueError(f"{key}: {text}: not a valid Ray label selector")
    return value


def _level(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        if value not in _LEVELS.values():
            numbers = sorted(set(_LEVELS.values()))
            raise ValueError(f"must be one of {', '.join(map(str, numbers))}")
    elif not isinstance(value, str) or value not in _LEVELS:
        meant = did_you_mean(value, _LEVELS) if isinstance(value, str) else ""
        names = ", ".join(_LEVELS)
        raise ValueError(f"must be one of {names}, not {kind(value)}{meant}")
    return value


def _policy(value: str) -> str:
    if value == "RESTART_REPLICA":
        raise ValueError(
            "RESTART_REPLICA is not implemented in Ray yet; use RESTART_GANG"
        )
    return value


def _app_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?", value):
        raise ValueError(
            "must contain only letters, digits, '-', '_' and '.',"
            " and have at most 63 characters"
        )
    return value


def _replicas(value: object) -> object:
    if value is None or value == "auto":
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(  # noqa: TRY004 pydantic turns only a ValueError into a problem
            f"must be an integer or auto, not {kind(value)}"
        )
    if value < 1:
        raise ValueError(
            f"must be greater than 0, not {value}; to scale to zero, use"
            " autoscaling_config with min_replicas: 0"
        )
    return value


def _queue(value: int) -> int:
    if value < -1 or value == 0:
        raise ValueError(f"must be -1 (no limit) or greater than 0, not {value}")
    return value


def _dotted(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(r"[\w.-]+[:.]\w+", value):
        raise ValueError(f"must be module:attribute, not {kind(value)}")
    return value


Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(gt=0)]
Name = Annotated[str, AfterValidator(_app_name)]
ImportPath = Annotated[str, AfterValidator(_import_path)]
Imported = Annotated[Any, BeforeValidator(_dotted)]
Bundle = dict[str, NotNegative]
Selector = Annotated[dict[str, str], AfterValidator(_selector)]
NotNull = BeforeValidator(_not_null)  # the key is optional, but must not be null


class LoggingConfig(Strict):
    """ray.serve.schema.LoggingConfig."""

    encoding: Literal["TEXT", "JSON"] = "TEXT"
    log_level: Annotated[Any, BeforeValidator(_level)] = "INFO"
    logs_dir: str | None = None
    enable_access_log: bool = True
    additional_log_standard_attrs: list[LogAttribute] = []


class BackpressureConfig(Strict):
    """ray.serve.config.BackpressureConfig."""

    status_code: Literal[503, 429] = 503
    retry_after_s: NotNegative | None = None


class AutoscalingPolicy(Strict):
    """ray.serve.config.AutoscalingPolicy."""

    replaced = {"name": "has been ignored since Ray 2.51; use policy_function"}

    policy_function: Imported = None
    policy_kwargs: dict[str, Any] = {}


class AutoscalingConfig(Strict):
    """ray.serve.config.AutoscalingConfig."""

    replaced = {
        "target_num_ongoing_requests_per_replica": "is ignored by Ray; use"
        " target_ongoing_requests",
        "policy_name": "was removed from Ray; use policy: {policy_function: …}",
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
    policy: Annotated[AutoscalingPolicy | None, NotNull] = None

    @model_validator(mode="after")
    def _bounds_agree(self) -> AutoscalingConfig:
        if self.min_replicas > self.max_replicas:
            raise ValueError(
                f"min_replicas {self.min_replicas} is greater than max_replicas"
                f" {self.max_replicas}"
            )
        first = self.initial_replicas
        if first is not None and not self.min_replicas <= first <= self.max_replicas:
            raise ValueError(
                f"initial_replicas {first} is not between {self.min_replicas} and"
                f" {self.max_replicas}"
            )
        return self


class RayActorOptions(Strict):
    """ray.serve.schema.RayActorOptionsSchema."""

    replaced = {
        "object_store_memory": "was removed from Ray Serve; remove the key",
    }

    runtime_env: ReplicaRuntimeEnv = ReplicaRuntimeEnv()
    num_cpus: NotNegative | None = None
    num_gpus: NotNegative | None = None
    memory: NotNegative | None = None
    resources: dict[str, NotNegative] = {}
    accelerator_type: str | None = None
    label_selector: Selector | None = None
    fallback_strategy: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _whole_gpus(self) -> RayActorOptions:
        gpus = self.num_gpus or 0
        if gpus > 1 and gpus != int(gpus):
            raise ValueError(f"num_gpus above 1 must be an integer, not {gpus:g}")
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
    runtime_failure_policy: Annotated[
        Literal["RESTART_GANG", "RESTART_REPLICA"], AfterValidator(_policy)
    ] = "RESTART_GANG"


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
        "max_concurrent_queries": "is ignored by Ray; use max_ongoing_requests",
        "init_args": "was removed from Ray Serve; pass arguments in code with"
        " Class.bind(…), or through the application's args",
        "init_kwargs": "was removed from Ray Serve; pass arguments in code with"
        " Class.bind(…), or through the application's args",
        "import_path": "belongs to the application, not to a deployment",
        "route_prefix": "belongs to the application, not to a deployment",
        "is_driver_deployment": "was removed from Ray Serve; use proxy_location:"
        " EveryNode",
        "num_gpus": "belongs under ray_actor_options",
        "num_cpus": "belongs under ray_actor_options",
    }

    name: str
    num_replicas: Annotated[Any, BeforeValidator(_replicas)] = None
    max_ongoing_requests: Count = 5
    max_queued_requests: Annotated[int, AfterValidator(_queue)] = -1
    backpressure_config: Annotated[BackpressureConfig | None, NotNull] = None
    user_config: dict[str, Any] | None = None
    autoscaling_config: AutoscalingConfig | None = None
    graceful_shutdown_wait_loop_s: NotNegative = 2.0
    graceful_shutdown_timeout_s: NotNegative = 20.0
    health_check_period_s: Positive = 10.0
    health_check_timeout_s: Positive = 30.0
    ray_actor_options: Annotated[RayActorOptions | None, NotNull] = None
    placement_group_bundles: Annotated[list[Bundle] | None, NotNull] = None
    placement_group_strategy: Annotated[
        Literal["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"] | None, NotNull
    ] = None
    placement_group_bundle_label_selector: Annotated[
        list[dict[str, str]] | None, NotNull
    ] = None
    max_replicas_per_node: Annotated[
        Annotated[int, Field(ge=1, le=100)] | None, NotNull
    ] = None
    logging_config: Annotated[LoggingConfig | None, NotNull] = None
    request_router_config: Annotated[RequestRouterConfig | None, NotNull] = None
    gang_scheduling_config: GangSchedulingConfig | None = None
    deployment_actors: list[DeploymentActorConfig] | None = None
    rolling_update_percentage: Annotated[
        Annotated[Number, Field(gt=0, le=1)] | None, NotNull
    ] = None
    max_surge_percent: Annotated[int, Field(ge=0, le=100)] = 0

    @model_validator(mode="after")
    def _one_count_of_replicas(self) -> Deployment:
        if isinstance(self.num_replicas, int) and self.autoscaling_config:
            raise ValueError(
                f"num_replicas: {self.num_replicas} cannot be combined with"
                " autoscaling_config; set num_replicas: auto or remove it"
            )
        return self

    @model_validator(mode="after")
    def _placement_agrees(self) -> Deployment:
        bundles = len(self.placement_group_bundles or [])
        selectors = self.placement_group_bundle_label_selector
        for key in ("strategy", "bundle_label_selector"):
            name = f"placement_group_{key}"
            if getattr(self, name) is not None and not bundles:
                if key == "strategy" and self.gang_scheduling_config:
                    continue  # reported by _gang_agrees
                raise ValueError(f"{name} requires placement_group_bundles")
        if selectors is not None and len(selectors) not in (1, bundles):
            raise ValueError(
                f"placement_group_bundle_label_selector: {len(selectors)} entries for"
                f" {bundles} placement_group_bundles; use one, or one for each bundle"
            )
        if self.placement_group_bundles is not None and self.max_replicas_per_node:
            raise ValueError(
                "max_replicas_per_node cannot be combined with placement_group_bundles"
            )
        return self

    @model_validator(mode="after")
    def _gang_agrees(self) -> Deployment:
        gang = self.gang_scheduling_config
        if not gang:
            return self
        for key in ("max_replicas_per_node", "placement_group_strategy"):
            if getattr(self, key) is not None:
                raise ValueError(
                    f"{key} cannot be combined with gang_scheduling_config"
                )
        for key, count in self._counts_of_replicas():
            if count % gang.gang_size:
                raise ValueError(
                    f"{key} {count} is not a multiple of gang_size {gang.gang_size}"
                )
        return self

    def _counts_of_replicas(self) -> list[tuple[str, int]]:
        """Return each replica count that is set, with its key."""
        if isinstance(self.num_replicas, int):
            return [("num_replicas", self.num_replicas)]
        scaling = self.autoscaling_config
        names = {"min_replicas", "max_replicas", "initial_replicas"}
        keys = sorted(names & scaling.model_fields_set) if scaling else []
        counts = [(key, getattr(scaling, key)) for key in keys]
        return [(key, count) for key, count in counts if count is not None]


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
                raise ValueError(f"deployments: duplicate name '{deployment.name}'")
            seen.add(deployment.name)
        return self

    @model_validator(mode="after")
    def _environments_combine(self) -> Application:
        for number, deployment in enumerate(self.deployments):
            options = deployment.ray_actor_options or RayActorOptions()
            if text := conflict(self.runtime_env, options.runtime_env):
                key = f"deployments[{number}].ray_actor_options.runtime_env"
                raise ValueError(f"{key}: with that of the application: {text}")
        return self

    @model_validator(mode="after")
    def _one_scaler(self) -> Application:
        for deployment in self.deployments:
            scales = deployment.num_replicas == "auto" or deployment.autoscaling_config
            if self.external_scaler_enabled and scales:
                raise ValueError(
                    "external_scaler_enabled cannot be combined with the autoscaling of"
                    f" '{deployment.name}'"
                )
        return self


class HTTPOptions(Strict):
    """ray.serve.schema.HTTPOptionsSchema."""

    replaced = {
        "location": "was renamed; use proxy_location at the top of the file",
        "middlewares": "cannot be set in a file; add them to the FastAPI application",
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
            raise ValueError("ssl_keyfile and ssl_certfile must be set together")
        return self


class GRPCOptions(Strict):
    """ray.serve.schema.gRPCOptionsSchema."""

    port: Port = 9000
    grpc_servicer_functions: list[str] = []
    request_timeout_s: Positive | None = None
    enable_reflection: bool = True


class ControllerOptions(Strict):
    """ray.serve.config.ControllerOptions."""

    runtime_env: ControllerRuntimeEnv | None = None


class TracingConfig(Strict):
    """ray.serve.schema.TracingConfig."""

    enabled: bool = False
    exporter_import_path: str = ""
    sampling_ratio: Annotated[Number, Field(ge=0, le=1)] = 0.01


class ServeDeploy(Strict):
    """ray.serve.schema.ServeDeploySchema."""

    replaced = {
        "import_path": "is the single-application format; put it under applications:",
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
