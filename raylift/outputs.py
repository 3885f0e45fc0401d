"""What a stack hands over once it is up, and what serve_runtime connects with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
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
