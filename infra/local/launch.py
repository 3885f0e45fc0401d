"""Stopping and starting the nodes of a local stack."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raylift.errors import FailedPrecondition
from raylift.infra.local import ports as port_choice
from raylift.infra.local import processes
from raylift.infra.local.diff import node_indices
from raylift.infra.local.grpc_loopback import write_hook
from raylift.infra.local.haproxy import write_wrapper
from raylift.infra.local.liveness import last_error
from raylift.infra.local.node_plan import HEAD, plan_nodes
from raylift.infra.local.ports import Ports
from raylift.infra.local.state import Applied
from raylift.infra.local.state_dir import machine_lock

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

    from raylift.infra.local.config import LocalConfig
    from raylift.infra.local.node_plan import Node
    from raylift.infra.local.state_dir import StateDir
    from raylift.infra.stack import Say, StackChange

_START_SECONDS = 300
_SOCKETS = 2  # of the object store and of the raylet


@dataclass(frozen=True, slots=True)
class Launcher:
    """The target state of a local stack, and the location of its files."""

    config: LocalConfig
    state: StateDir
    ray_version: str

    def apply(
        self, changes: Sequence[StackChange], before: Applied | None, *, progress: Say
    ) -> None:
        """Stop and start nodes; return when Ray's control store accepts connections.

        Raises:
            FailedPrecondition: A port is in use, or Ray did not start.
        """
        restarts_head = any(change.what == HEAD for change in changes)
        stopping = None if restarts_head else {change.what for change in changes}
        starting = {change.what for change in changes if change.action != "stop"}
        # Held until the ports that become free are in use again.
        with machine_lock():
            processes.stop(self.state.path, stopping)
            ports = self._ports(before, keep=not restarts_head)
            indices = node_indices(self.config, before, starting=starting)
            self._write_files(ports)
            config = self.config.resolved()
            self.state.save(Applied(ports, indices, config, self.ray_version))
            nodes = plan_nodes(
                self.config, ports=ports, indices=indices, folders=self.state.folders
            )
            pending = [node for node in nodes if node.name in starting]
            for number, node in enumerate(pending, 1):
                progress(f"starting {node.name}")
                self._start(node, ports, more=number < len(pending))

    def _ports(self, before: Applied | None, *, keep: bool) -> Ports:
        serve = self.config.serve
        if before is None:
            return port_choice.choose(serve=serve.port, grpc=serve.grpc_port)
        old = before.ports
        if keep:
            return old
        ports = Ports(old.base, serve.port or old.serve, serve.grpc_port or old.grpc)
        port_choice.check_free(ports)
        return ports

    def _write_files(self, ports: Ports) -> None:
        self.state.create()
        write_hook(self.state.folders.site, host=self.config.serve.host)
        if self.config.ray.ingress == "haproxy":
            write_wrapper(
                self.state.path / "haproxy",
                folder=self.state.folders.haproxy,
                metrics=ports.base + 5,
                stats=ports.base + 6,
            )

    def _start(self, node: Node, ports: Ports, *, more: bool) -> None:
        """Start a node; if more follow, wait until it has its sockets."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RAY_", "RAYLIFT_"))
        }
        # Ray looks in PATH for tools that it installs, such as py-spy.
        path = f"{Path(node.argv[0]).parent}:{inherited.get('PATH', os.defpath)}"
        before = self._sockets()
        process = processes.start(
            node.argv,
            environment=inherited | {"PATH": path} | node.environment,
            cwd=self.state.folders.empty,
            log=self.state.log(node.name),
        )
        if node.name == HEAD:
            self._wait_for_control_store(process, ports)
        if more:
            self._wait_for_sockets(process, before)

    def _sockets(self) -> set[Path]:
        folder = self.state.folders.ray / "session_latest" / "sockets"
        patterns = ("plasma_store*", "raylet*")
        return {path.resolve() for name in patterns for path in folder.glob(name)}

    def _wait_for_sockets(
        self, node: subprocess.Popen[bytes], before: set[Path]
    ) -> None:
        """Wait until a node has created its two sockets, or has exited.

        `ray start` takes the first names that are free, so two nodes that start at once
        may take the same, and one of them exits (ray/_private/node.py, _make_inc_temp).
        """
        deadline = time.monotonic() + _START_SECONDS
        while len(self._sockets() - before) < _SOCKETS and node.poll() is None:
            if time.monotonic() >= deadline:
                return  # the caller reports nodes that do not join
            time.sleep(0.02)

    def _wait_for_control_store(
        self, head: subprocess.Popen[bytes], ports: Ports
    ) -> None:
        log = self.state.log(HEAD)
        deadline = time.monotonic() + _START_SECONDS
        while not port_choice.is_open(ports.gcs):
            if head.poll() is not None:
                raise FailedPrecondition(
                    f"Ray did not start: {last_error(log)}", hint=f"see {log}"
                )
            if time.monotonic() >= deadline:
                raise FailedPrecondition(
                    f"Ray did not start within {_START_SECONDS} s", hint=f"see {log}"
                )
            time.sleep(0.02)
