"""What a stack hands over once it is up, and what serve_runtime connects with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from raylift.errors import CannotWork
from raylift.ray_service import SERVE_PORT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


# A node says by this label which start of which node of the stack it is.
NODE_LABEL = "raylift.io/node"


@dataclass(frozen=True, slots=True)
class StackOutputs:
    """One place to serve from, as it is now.

    `nodes` are its nodes beside the head, each as the value of its label NODE_LABEL.
    `token` is the cluster's Ray token; it stays out of `repr` and of every output.
    `state_dir` is where the release ledger and the code packages of the local
    target live.
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
        """Base address of the data plane, reachable from this machine."""
        host = "127.0.0.1" if self.serve_host == "0.0.0.0" else self.serve_host  # noqa: S104 compared, not bound
        return f"http://{host}:{self.serve_port}"


@dataclass(frozen=True, slots=True)
class ClusterOutputs:
    """A stack on Kubernetes, as its Pulumi program hands it over.

    `cluster` tells one Kubernetes cluster from another. `kubeconfig` is empty for a
    cluster that the user's own kubeconfig knows. `packages` is the bucket for code, as
    `s3://…`, or empty; `region` and `profile` are AWS' where they are known.
    """

    stack: str
    target: Literal["kubernetes", "aws"]
    cluster: str
    namespace: str
    ray_version: str
    serve_service: str
    kubeconfig: str = field(repr=False)
    packages: str
    region: str = ""
    profile: str = ""

    @property
    def serve_url(self) -> str:
        """Base address of the data plane, reachable from inside the cluster."""
        return f"http://{self.serve_service}.{self.namespace}:{SERVE_PORT}"

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> ClusterOutputs:
        """From the outputs that `handed_over` of the programs names.

        Raises:
            CannotWork: one is missing, as of a stack of another version of raylift.
        """
        try:
            return cls(
                stack=values["stack"],
                target=values["target"],
                cluster=values["cluster"],
                namespace=values["namespace"],
                ray_version=values["rayVersion"],
                serve_service=values["serveService"],
                kubeconfig=values.get("kubeconfig", ""),
                packages=values.get("packages", ""),
                region=values.get("region", ""),
                profile=values.get("profile", ""),
            )
        except KeyError as missing:
            raise CannotWork(
                f"the stack's outputs have no {missing}: another version made them",
                hint="raylift up makes them anew",
            ) from None


Outputs = StackOutputs | ClusterOutputs
