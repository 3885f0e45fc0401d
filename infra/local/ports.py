"""Ports of a local stack: one block per stack, below the ephemeral range."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from raylift.errors import FailedPrecondition

_BLOCK = 1000
_BLOCKS = range(20000, 32000, _BLOCK)  # the kernel assigns ports from 32768
_PER_NODE = 10
MAX_NODES = 40
_INGRESS = 20 + _PER_NODE * MAX_NODES
_GRPC_INGRESS = (_INGRESS + _BLOCK) // 2


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports of one stack.

    `base` is the first port of its block. `serve` and `grpc` are the ports that users
    send requests to, outside the block.
    """

    base: int
    serve: int
    grpc: int

    @property
    def gcs(self) -> int:
        """The GCS, Ray's control store; in use while the stack runs."""
        return self.base

    @property
    def dashboard(self) -> int:
        """Ray's REST API."""
        return self.base + 1

    def of_node(self, index: int) -> range:
        """Return the ten ports of the node with this index; the head's is 0."""
        first = self.base + 10 + _PER_NODE * index
        return range(first, first + _PER_NODE)

    @property
    def ingress(self) -> range:
        """Ports of the replicas' HTTP servers, for HAProxy."""
        return range(self.base + _INGRESS, self.base + _GRPC_INGRESS)

    @property
    def grpc_ingress(self) -> range:
        """Ports of the replicas' gRPC servers, for HAProxy."""
        return range(self.base + _GRPC_INGRESS, self.base + _BLOCK)


def choose(*, serve: int | None, grpc: int | None) -> Ports:
    """Return free ports for a new stack; the caller must hold the machine-wide lock.

    Args:
        serve: The HTTP port from the stack file. None means 8000 in the first block,
            8001 in the second, and so on, because a stack without applications uses its
            block, but not this port.
        grpc: The gRPC port from the stack file. None means 9000, 9001, and so on.

    Raises:
        FailedPrecondition: A port from the stack file is in use, or no block is free.
    """
    if serve is not None and not is_free(serve):
        raise _in_use(serve, "raylift:serve.port")
    if grpc is not None and not is_free(grpc):
        raise _in_use(grpc, "raylift:serve.grpcPort")
    for index, base in enumerate(_BLOCKS):
        ports = Ports(base, serve or 8000 + index, grpc or 9000 + index)
        needed = (*range(base, base + 30), ports.serve, ports.grpc)
        if all(is_free(port) for port in needed):
            return ports
    raise FailedPrecondition(
        f"no free block of ports between {_BLOCKS.start} and {_BLOCKS.stop}",
        hint="run `raylift delete -s STACK` for a local stack that you no longer need",
    )


def check_free(ports: Ports) -> None:
    """Raise an error if another process uses a port of a stopped stack.

    Raises:
        FailedPrecondition: The error names the port and its user.
    """
    for port in (ports.gcs, ports.dashboard):
        if not is_free(port):
            raise _in_use(port)
    if not is_free(ports.serve):
        raise _in_use(ports.serve, "raylift:serve.port")


def is_free(port: int) -> bool:
    """Return whether no process listens on a port, on any address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 never listens
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    """Return whether a process accepts connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _in_use(port: int, key: str = "") -> FailedPrecondition:
    user = _listener(port)
    return FailedPrecondition(
        f"port {port} ({key or 'reserved for this stack'}) is in use"
        f"{f' by {user}' if user else ''}",
        hint=f"stop that process, or set {key} to another port in the stack file"
        if key
        else "stop that process",
    )


def _listener(port: int) -> str:
    """Return the process that listens on a port, or "" if it cannot be determined."""
    import psutil

    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return ""
    for connection in connections:
        if connection.status == "LISTEN" and tuple(connection.laddr)[1:] == (port,):
            try:
                name = psutil.Process(connection.pid).name() if connection.pid else ""
            except psutil.Error:
                name = ""
            return f"{name} (pid {connection.pid})" if connection.pid else ""
    return ""
