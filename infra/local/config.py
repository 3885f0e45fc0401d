"""LocalConfig: all keys of a stack file with target `local`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from raylift.infra.config.base import Section, ServeDefaults, StackConfig
from raylift.infra.config.types import (
    Env,
    Host,
    Labels,
    Name,
    PortNumber,
    Resources,
    Size,
)
from raylift.infra.serve_proxy import Ingress
from raylift.strict_model import NotNegative


class NodeGroup(Section):
    """Nodes of one shape; each is a raylet that advertises these resources."""

    name: Name
    """Name of the group, unique in the stack.

    Lowercase letters, digits and `-`, at most 20 characters.
    """

    min_size: Annotated[int, Field(ge=1, le=16)] = 1
    """Number of nodes, 1 to 16."""

    num_cpus: NotNegative = 1.0
    """CPUs that each node advertises to Ray.

    They are not checked against the hardware.
    """

    num_gpus: Annotated[int, Field(ge=0)] = 0
    """GPUs that each node advertises to Ray.

    They are not checked against the hardware.
    """

    memory: Size = None
    """Memory that each node advertises to Ray, in bytes or with a unit, such as `16Gi`.

    By default, Ray decides.
    """

    resources: Resources = {}
    """Custom Ray resources of each node and their amounts, such as `{fast: 3}`."""

    labels: Labels = {}
    """Ray labels of each node, for the `label_selector` of a deployment."""


class Head(Section):
    """The node that runs Ray's control plane; it also runs replicas."""

    num_cpus: Annotated[NotNegative | None, Field()] = None
    """CPUs that the head advertises to Ray. Defaults to the CPUs of this machine."""

    num_gpus: Annotated[int, Field(ge=0)] = 0
    """GPUs that the head advertises to Ray.

    They are not checked against the hardware.
    """

    memory: Size = None
    """Memory that the head advertises to Ray, in bytes or with a unit, such as `16Gi`.

    By default, Ray decides.
    """

    resources: Resources = {}
    """Custom Ray resources of the head and their amounts, such as `{fast: 3}`."""

    labels: Labels = {}
    """Ray labels of the head, for the `label_selector` of a deployment."""


class Ray(Section):
    """The Ray cluster. Changes require `raylift up --restart`."""

    ingress: Ingress = "haproxy"
    """Proxy in front of the replicas: HAProxy or Ray's Python proxy."""

    head: Head = Head()
    """The node that runs Ray's control plane."""

    object_store_memory: Size = 200 << 20
    """Size of the object store on each node, in bytes or with a unit.

    For example, `200Mi`.
    """

    env: Env = {}
    """Environment variables of every Ray process.

    They override raylift's tuning, but not authentication or `TMPDIR`.
    """


class Serve(ServeDefaults):
    """Address and ports of applications. Changes require `raylift up --restart`."""

    host: Host = "127.0.0.1"
    """Address that applications listen on, without a scheme or a port.

    `0.0.0.0` exposes them, and the HTTP ports of the replicas, to the network.
    """

    port: PortNumber | None = None
    """HTTP port, 1024 to 65535. Defaults to 8000 or the next free port."""

    grpc_port: PortNumber | None = None
    """gRPC port, 1024 to 65535, used if an application has a gRPC servicer.

    Defaults to 9000 or the next free port.
    """


class LocalConfig(StackConfig):
    """A stack on this machine."""

    target: Literal["local"] = "local"
    """Where the stack runs: this machine."""

    node_groups: list[NodeGroup] = []
    """Groups of nodes in addition to the head.

    They can change while the stack is up.
    """

    ray: Ray = Ray()
    """The Ray cluster."""

    serve: Serve = Serve()
    """Address and ports of applications."""
