"""Random applications that plain Ray runs and that are difficult for defaults."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

_HEAD = """
import asyncio
import os

import ray
from fastapi import FastAPI
from ray import serve
from ray.util import placement_group
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy, RequestRouterConfig

VERSION = {version!r}


def one_replica(context):
    return max(1, context.current_num_replicas), {{}}
"""
_ROUTER = """
from ray.serve._private.request_router import PowerOfTwoChoicesRequestRouter


class Router(PowerOfTwoChoicesRequestRouter):
    pass


ROUTER = RequestRouterConfig(request_router_class=Router)
"""
_HOLDER = """
@ray.remote(num_cpus=0, resources={{"slot": 1}})
class Holder:
    def ping(self):
        return os.getpid()


def holder(name):
    options = {{"name": name, "lifetime": "detached", "get_if_exists": True}}
    return Holder.options(**options).remote()


KEPT = {name!r}
"""
# What a replica does when it starts.
_STARTS = (
    "pass",
    "pass",
    "pass",
    # Holds resources that Serve does not know of, until the replica stops.
    "self.holder = Holder.remote(); ray.get(self.holder.ping.remote())",
    # Holds resources that outlive the replica.
    "ray.get(holder(KEPT).ping.remote())",
    "self.group = placement_group([{'CPU': 1}]); ray.get(self.group.ready())",
)
_CPUS = ("0", "0.1", "0.5", "1", "1.5")


def application(
    draw: random.Random, name: str, version: str
) -> tuple[str, dict[str, Any]]:
    """Return the code of an application, and its entry in a Serve config."""
    options, overrides = _options(draw), _overrides(draw)
    if "policy" in options.get("autoscaling_config", ""):
        overrides = {}  # with any, Ray's controller has to import the policy
    entry = {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": "model:app",
        "runtime_env": {"working_dir": name},
    }
    if overrides:
        entry["deployments"] = [{"name": "Model", **overrides}]
    code = "".join(
        (
            _HEAD.format(version=version),
            _ROUTER,
            _HOLDER.format(name=name),
            _helper(draw),
            _model(draw, options),
            _binding(draw, entry),
        )
    )
    return code, entry


def _overrides(draw: random.Random) -> dict[str, Any]:
    overrides: dict[str, Any] = {}
    if draw.random() < 0.3:
        overrides["max_ongoing_requests"] = draw.choice((1, 5, 100))
    if draw.random() < 0.2:
        overrides["ray_actor_options"] = {"num_cpus": draw.choice((0, 0.1, 1))}
    return overrides


_SCALING = "min_replicas=1, max_replicas=2"
_POLICY = "policy=AutoscalingPolicy(policy_function=one_replica)"
_REPLICAS = (
    {},
    {"num_replicas": "1"},
    {"num_replicas": "2"},
    {"autoscaling_config": '{"min_replicas": 1, "max_replicas": 2}'},
    {"autoscaling_config": f"AutoscalingConfig({_SCALING})"},
    {"autoscaling_config": f"AutoscalingConfig({_SCALING}, {_POLICY})"},
)
_ROUTERS = (
    {},
    {},
    {"request_router_config": "RequestRouterConfig(initial_backoff_s=0.1)"},
)
_OTHERS = (
    {},
    {"max_queued_requests": "3"},
    {"health_check_period_s": "2"},
    {"user_config": '{"a": 1}'},
    {
        "placement_group_bundles": '[{"CPU": 1}, {"CPU": 0.5}]',
        "ray_actor_options": '{"num_cpus": 1}',
    },
    {"logging_config": '{"log_level": "DEBUG"}'},
)


def _options(draw: random.Random) -> dict[str, str]:
    """Return random options of a deployment, as Python expressions by name."""
    options = {
        "graceful_shutdown_timeout_s": "1",
        "ray_actor_options": f'{{"num_cpus": {draw.choice(_CPUS)}}}',
    }
    replicas = draw.choice(_REPLICAS)
    router = draw.choice(_ROUTERS)
    others = draw.choice(_OTHERS)
    return options | replicas | router | others


def _helper(draw: random.Random) -> str:
    # HAProxy bypasses the router of an ingress; Ray refuses a custom one.
    router = draw.choice(("", ", request_router_config=ROUTER"))
    cpus = draw.choice(("0", "0.1"))
    return textwrap.dedent(f"""

        @serve.deployment(ray_actor_options={{"num_cpus": {cpus}}}{router})
        class Helper:
            def version(self):
                return VERSION
        """)


def _model(draw: random.Random, options: dict[str, str]) -> str:
    written = ", ".join(f"{key}={value}" for key, value in options.items())
    in_decorator = draw.random() < 0.7
    start = draw.choice(_STARTS)
    template = draw.choice((_CLASS, _FASTAPI, _BATCHED))
    after = "" if in_decorator else f"\nModel = Model.options({written})\n"
    return template.format(options=written if in_decorator else "", start=start) + after


_CLASS = """

@serve.deployment({options})
class Model:
    def __init__(self, helper=None, words=()):
        self.helper = helper
        {start}

    def reconfigure(self, config):
        self.config = config

    async def __call__(self, request):
        return await self.helper.version.remote() if self.helper else VERSION
"""
_FASTAPI = """
api = FastAPI()


@serve.deployment({options})
@serve.ingress(api)
class Model:
    def __init__(self, helper=None, words=()):
        self.helper = helper
        {start}

    def reconfigure(self, config):
        self.config = config

    @api.get("/")
    async def get(self) -> str:
        return VERSION
"""
_BATCHED = """

@serve.deployment({options})
class Model:
    def __init__(self, helper=None, words=()):
        {start}

    def reconfigure(self, config):
        self.config = config

    @serve.batch(max_batch_size=4, batch_wait_timeout_s=0.01)
    async def answer(self, requests):
        return [VERSION for _ in requests]

    @serve.multiplexed(max_num_models_per_replica=2)
    async def load(self, name):
        return name

    async def __call__(self, request):
        return await self.answer(request)
"""
_BINDINGS = (
    "app = Model.bind()",
    "app = Model.bind(Helper.bind())",
    "app = Model.bind(Helper.options(num_replicas=2).bind(), words=['a', 'b'])",
    "helper = Helper.bind()\napp = Model.bind(helper)",
    "if os.getpid():\n    app = Model.bind()\nelse:\n    app = Helper.bind()",
    "models = [Helper.bind() for _ in range(2)]\napp = Model.bind(models[0])",
    "def app(args):\n    return Model.bind(words=args['words'])",
    "def app(args):\n    helper = Helper.bind()\n    return Model.bind(helper)",
)


def _binding(draw: random.Random, entry: dict[str, Any]) -> str:
    binding = draw.choice(_BINDINGS)
    if "args" in binding:
        entry["args"] = {"words": ["a"]}
    return f"\n\n{binding}\n"
