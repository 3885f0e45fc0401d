"""Which ports a local stack uses: a block of its own below the ephemeral range."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from raylift.errors import CannotWork

_BLOCK = 1000
_BLOCKS = range(20000, 32000, _BLOCK)  # the kernel gives out 32768 and up by itself
_PER_NODE = 10
MAX_NODES = 40
_INGRESS = 20 + _PER_NODE * MAX_NODES
_GRPC_INGRESS = (_INGRESS + _BLOCK) // 2


@dataclass(frozen=True, slots=True)
class Ports:
    """`base` is the first port of the block; `serve` and `grpc` are the user's."""

    base: int
    serve: int
    grpc: int

    @property
    def gcs(self) -> int:
        """Ray's control store; a stack that runs always holds it."""
        return self.base

    @property
    def dashboard(self) -> int:
        """Ray's REST API."""
        return self.base + 1

    def of_node(self, index: int) -> range:
        """The ten ports of the node with that index; the head is 0."""
        first = self.base + 10 + _PER_NODE * index
        return range(first, first + _PER_NODE)

    @property
    def ingress(self) -> range:
        """Where replicas listen for HAProxy."""
        return range(self.base + _INGRESS, self.base + _GRPC_INGRESS)

    @property
    def grpc_ingress(self) -> range:
        """The same for gRPC."""
        return range(self.base + _GRPC_INGRESS, self.base + _BLOCK)


def choose(*, serve: int | None, grpc: int | None) -> Ports:
    """Free ports for a new stack; the caller holds the machine-wide lock.

    Args:
        serve: The HTTP port the user asked for. None takes 8000 in the first block,
            8001 in the second …: a stack that serves nothing yet holds its block,
            but not yet this port.
        grpc: The same for gRPC, from 9000.

    Raises:
        CannotWork: a port that was asked for is taken, or no block is free.
    """
    if serve is not None and not is_free(serve):
        raise _taken(serve, "serve.port")
    if grpc is not None and not is_free(grpc):
        raise _taken(grpc, "serve.grpcPort")
    for index, base in enumerate(_BLOCKS):
        ports = Ports(base, serve or 8000 + index, grpc or 9000 + index)
        needed = (*range(base, base + 30), ports.serve, ports.grpc)
        if all(is_free(port) for port in needed):
            return ports
    raise CannotWork(
        f"no free block of ports between {_BLOCKS.start} and {_BLOCKS.stop}",
        hint="end a local stack that is not needed: raylift delete -s NAME",
    )


def check_free(ports: Ports) -> None:
    """Refuse to start where somebody else took a port of the stack meanwhile.

    Raises:
        CannotWork: naming the port.
    """
    for port in (ports.gcs, ports.dashboard):
        if not is_free(port):
            raise _taken(port, "this stack's own")
    if not is_free(ports.serve):
        raise _taken(ports.serve, "serve.port")


def is_free(port: int) -> bool:
    """Whether nothing listens there, on any address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 never listens
        except OSError:
            return False
    return True


def is_open(port: int) -> bool:
    """Whether something accepts connections on this machine's loopback."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _taken(port: int, what: str) -> CannotWork:
    holder = _holder(port)
    return CannotWork(
        f"port {port} ({what}) is taken{f' by {holder}' if holder else ''}",
        hint="end that process, or set another raylift:serve.port in the stack file",
    )


def _holder(port: int) -> str:
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
