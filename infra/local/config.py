"""LocalConfig: every key of a stack file whose target is `local`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from infra.config import (
    Env,
    Host,
    Labels,
    Name,
    PortNumber,
    Resources,
    Section,
    ServeDefaults,
    Size,
    StackConfig,
    check,
    differ,
)
from raylift.model import NotNegative

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.config import Wrong


class NodeGroup(Section):
    """Alike nodes; each is a raylet that claims these resources."""

    name: Name
    min_size: Annotated[int, Field(ge=1, le=16)] = 1
    num_cpus: NotNegative = 1.0
    num_gpus: Annotated[int, Field(ge=0)] = 0
    memory: Size = None
    resources: Resources = {}
    labels: Labels = {}


class Head(Section):
    """The node that runs Ray's control plane, and serves replicas too."""

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
    env: Env = {}


class Serve(ServeDefaults):
    """Where the applications answer."""

    host: Host = "127.0.0.1"
    port: PortNumber | None = None
    grpc_port: PortNumber | None = None


class LocalConfig(StackConfig):
    """One place to serve from: this machine."""

    target: Literal["local"] = "local"
    node_groups: list[NodeGroup] = []
    ray: Ray = Ray()
    serve: Serve = Serve()

    @check
    def checks(self) -> Iterator[Wrong]:
        """What is wrong although every single value is right."""
        yield from differ(self.node_groups, ("nodeGroups",))
