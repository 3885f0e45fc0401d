"""StackConfig: every key of a stack file, with its default. camelCase, as Pulumi's.

A key has the meaning that Ray gives it (`numGpus`, `resources`, `labels`), and no
key does nothing: what a target does not use, it refuses.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from raylift.model import NotNegative, Strict
from raylift.wording import kind

Target = Literal["local", "kubernetes", "aws"]

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,18}[a-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9]([-.A-Za-z0-9]{0,251}[A-Za-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_BUILT_IN = ("CPU", "GPU", "memory", "object_store_memory", "node:")
_SIZES = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_SIZE = re.compile(r"(\d+)(Ki|Mi|Gi|Ti)")


class Section(Strict):
    """A mapping of the stack file."""

    model_config = ConfigDict(alias_generator=to_camel)


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            "must be lowercase letters, digits and '-', start with a letter,"
            " at most 20 characters"
        )
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(
            f"must be a host's name or IPv4 address alone, not {kind(value)}"
        )
    return value


def _size(value: object) -> object:
    """Bytes of a Kubernetes quantity such as 16Gi."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"must be a size such as 512Mi or 16Gi, not {kind(value)}")
    return int(match[1]) * _SIZES[match[2]]


def _labels(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        name = key.rsplit("/", 1)[-1]
        if not _LABEL.fullmatch(name) or (text and not _LABEL.fullmatch(text)):
            raise ValueError(
                f"{key}: {text}: Ray's rule for labels: letters, digits, '-', '_', '.',"
                " at most 63 characters"
            )
        if key.startswith(("ray.io/", "raylift.io/")):
            owner = key.split("/")[0]
            raise ValueError(f"{key}: labels under {owner}/ are not for you to set")
    return value


def _resources(value: dict[str, float]) -> dict[str, float]:
    for name in value:
        if name.startswith(_BUILT_IN):
            raise ValueError(f"{name}: a resource of Ray's own; use numCpus or numGpus")
    return value


Size = Annotated[int | None, BeforeValidator(_size)]
Labels = Annotated[dict[str, str], AfterValidator(_labels)]
Resources = Annotated[dict[str, NotNegative], AfterValidator(_resources)]
PortNumber = Annotated[int, Field(ge=1024, le=65535)]


class NodeGroup(Section):
    """Alike nodes. On `local` each is a raylet that claims these resources."""

    name: Annotated[str, AfterValidator(_name)]
    min_size: Annotated[int, Field(ge=1, le=16)] = 1
    num_cpus: NotNegative = 1.0
    num_gpus: Annotated[int, Field(ge=0)] = 0
    memory: Size = None
    resources: Resources = {}
    labels: Labels = {}


class Head(Section):
    """The node that runs Ray's control plane; on `local` it serves replicas too."""

    num_cpus: Annotated[NotNegative | None, Field()] = None
    num_gpus: Annotated[int, Field(ge=0)] = 0
    memory: Size = None
    resources: Resources = {}
    labels: Labels = {}


class Ray(Section):
    """The Ray cluster."""

    ingress: Literal["haproxy", "python"] = "haproxy"
    head: Head = Head()
    object_store_memory: Size = 200 << 20
    env: dict[str, str] = {}

    @model_validator(mode="after")
    def _env_is_not_ours(self) -> Ray:
        for name in self.env:
            if name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
                raise ValueError(f"env.{name}: raylift sets it; the token is always on")
        return self


class Serve(Section):
    """Where the applications answer, and whether raylift's safe defaults are added."""

    host: Annotated[str, AfterValidator(_host)] = "127.0.0.1"
    port: PortNumber | None = None
    grpc_port: PortNumber | None = None
    defaults: Literal["raylift", "ray"] = "raylift"


class StackConfig(Section):
    """One place to serve from."""

    target: Target = "local"
    node_groups: list[NodeGroup] = []
    ray: Ray = Ray()
    serve: Serve = Serve()

    @model_validator(mode="after")
    def _group_names_differ(self) -> StackConfig:
        seen: set[str] = set()
        for group in self.node_groups:
            if group.name in seen:
                raise ValueError(f"nodeGroups: two groups named '{group.name}'")
            seen.add(group.name)
        return self

    @model_validator(mode="after")
    def _target_is_built(self) -> StackConfig:
        if self.target != "local":
            raise ValueError(f"target: '{self.target}' is not built yet; use local")
        return self

    def resolved(self) -> dict[str, Any]:
        """The whole configuration as it would stand in a file, defaults included."""
        values = self.model_dump(by_alias=True)
        return {f"raylift:{key}": value for key, value in values.items()}
