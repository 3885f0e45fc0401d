"""The outputs of a stack, which `serve_runtime` uses to connect."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal

from raylift.errors import FailedPrecondition
from raylift.ray_service_client import SERVE_PORT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


# The label that identifies the node of the stack, and the start, behind a Ray node.
NODE_LABEL = "raylift.io/node"


@dataclass(frozen=True, slots=True)
class LocalOutputs:
    """The outputs of a running stack on target `local`.

    `nodes` holds the value of NODE_LABEL for each node except the head. `token` is the
    cluster's Ray token, which `repr` and all output omit. `state_dir` contains the
    release ledger and the code packages.
    """

    stack: str
    target: Literal["local"]
    dashboard_url: str
    serve_host: str
    serve_port: int
    grpc_port: int
    ingress: Literal["haproxy", "python"]
    ray_version: str
    nodes: tuple[str, ...]
    state_dir: Path
    token: str = field(repr=False)

    @property
    def serve_url(self) -> str:
        """The URL of the data plane, reachable from this machine."""
        host = "127.0.0.1" if self.serve_host == "0.0.0.0" else self.serve_host  # noqa: S104 compared, not bound
        return f"http://{host}:{self.serve_port}"


@dataclass(frozen=True, slots=True)
class KubernetesOutputs:
    """The outputs of a Pulumi program on Kubernetes, which spells them in camelCase.

    `cluster` identifies the Kubernetes cluster. `kubeconfig` is empty if the user's
    kubeconfig contains the cluster. `packages` is the URI of the bucket or the package
    store, or empty. `region` and `profile` are the AWS region and profile, if
    known. `project` is the Pulumi project.
    """

    stack: str
    target: Literal["kubernetes", "aws"]
    cluster: str
    namespace: str
    ray_version: str
    serve_service: str
    kubeconfig: str = field(default="", repr=False)
    packages: str = ""
    region: str = ""
    profile: str = ""
    project: str = ""

    @property
    def serve_url(self) -> str:
        """The URL of the data plane, reachable from inside the cluster."""
        return f"http://{self.serve_service}.{self.namespace}:{SERVE_PORT}"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> KubernetesOutputs:
        """Build the outputs from the `stack_outputs` of a Pulumi program.

        Raises:
            FailedPrecondition: An output is missing, because a different version of
                raylift created the stack.
        """
        keys = {camel_case(each.name): each for each in fields(cls)}
        for key, each in keys.items():
            if key not in values and each.default is MISSING:
                raise FailedPrecondition(
                    f"the stack has no output '{key}': it was created by a different"
                    " version of raylift",
                    hint=f"run `raylift up -s {values.get('stack', 'STACK')}`",
                )
        return cls(**{keys[key].name: values[key] for key in keys if key in values})


def camel_case(name: str) -> str:
    """Return `rayVersion` for `ray_version`; Ray's dashboard spells keys like this.

    Source: ray/dashboard/utils.py, to_camel_case.
    """
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


Outputs = LocalOutputs | KubernetesOutputs
