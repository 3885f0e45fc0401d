"""The stack of target `local`: Ray processes on this machine."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

from raylift.errors import FailedPrecondition, InvalidInput, Leftovers
from raylift.infra.local import processes
from raylift.infra.local.diff import needs_restart, node_names, plan_changes
from raylift.infra.local.launch import Launcher
from raylift.infra.local.liveness import (
    is_head_running,
    last_error,
    running_nodes,
    silent_nodes,
)
from raylift.infra.local.node_plan import HEAD, node_mark
from raylift.infra.local.ports import MAX_NODES
from raylift.infra.local.state_dir import StateDir
from raylift.infra.stack import StackChange
from raylift.outputs import LocalOutputs

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from raylift.infra.local.config import LocalConfig
    from raylift.infra.local.state import Applied
    from raylift.infra.stack import RunningStep, Say

_DELETING_SECONDS = 60


class LocalStack:
    """A stack on this machine, described by its state directory and by /proc."""

    after_destroy = "no processes, ports or files remain"

    def __init__(self, name: str, stack_file: Path, state_dir: Path) -> None:
        self.name = name
        self._stack_file = stack_file
        self._state = StateDir(name, state_dir)

    @functools.cached_property
    def config(self) -> LocalConfig:
        """The stack file.

        Raises:
            InvalidInput: The file has errors.
            FailedPrecondition: The file has another target, but the stack runs on this
                machine.
        """
        from raylift.infra.config.loader import load_stack_file
        from raylift.infra.local.config import LocalConfig

        config = load_stack_file(self._stack_file)
        if not isinstance(config, LocalConfig):
            raise FailedPrecondition(
                f"stack '{self.name}' runs on this machine, but its stack file now"
                f" sets target: {config.target}",
                hint=f"run `raylift delete -s {self.name}` first",
            )
        nodes = sum(group.min_size for group in config.node_groups)
        if nodes >= MAX_NODES:
            raise InvalidInput.at(
                "raylift:nodeGroups",
                f"the sum of minSize must be at most {MAX_NODES - 1} with target local,"
                f" not {nodes}",
            )
        return config

    def exists(self) -> bool:
        """Return whether a process or a file of the stack exists."""
        return self._state.exists() or bool(processes.find(self._state.path))

    def recover(self, *, progress: Say) -> None:
        """Do nothing: `up` compares the stack file with the running processes."""

    def preview(self, *, restart: bool = False) -> list[StackChange]:
        """Return the changes that `up` would make.

        Raises:
            FailedPrecondition: The head must restart, and `restart` is false.
        """
        return self._preview(self._state.load(), restart=restart)

    def up(self, *, progress: Say, restart: bool = False) -> LocalOutputs:
        """Start missing nodes and stop nodes that are not in the stack file.

        Return when Ray's control store accepts connections. The dashboard and the other
        nodes start a moment later.

        Raises:
            FailedPrecondition: A port is in use, or Ray did not start. See also
                `preview`.
            Conflict: Another `up` or `delete` of this stack has run for too long.
        """
        with self._state.lock():
            before = self._state.load()
            changes = self._preview(before, restart=restart)
            if changes:
                launcher = Launcher(self.config, self._state, _ray_version())
                launcher.apply(changes, before, progress=progress)
            return self.outputs()

    def running_steps(self) -> list[RunningStep]:
        """Return an empty list, because nodes start within seconds."""
        return []

    def outputs(self) -> LocalOutputs:
        """Return the addresses and the token, even if the head is still starting.

        Raises:
            FailedPrecondition: The stack is not up.
        """
        applied = self._state.load()
        if applied is None or not is_head_running(self._state.path, applied):
            raise FailedPrecondition(
                f"stack '{self.name}' {self._why_not_up(applied)}",
                hint=f"run `raylift up -s {self.name}`",
            )
        ports = applied.ports
        return LocalOutputs(
            stack=self.name,
            target="local",
            dashboard_url=f"http://127.0.0.1:{ports.dashboard}",
            serve_host=applied.config["raylift:serve"]["host"],
            serve_port=ports.serve,
            grpc_port=ports.grpc,
            ingress=applied.config["raylift:ray"]["ingress"],
            ray_version=applied.ray_version,
            nodes=tuple(
                node_mark(name, applied.nodes) for name in applied.nodes if name != HEAD
            ),
            state_dir=self._state.path,
            token=self._state.token(),
        )

    def why_dead(self) -> str:
        """Return the first node that should be running but is not, and why; or ""."""
        running = running_nodes(self._state.path, self._state.load())
        for name in node_names(self.config):
            if name not in running:
                reason = last_error(self._state.log(name))
                return f"node {name}: {reason or 'exited without an error message'}"
        return ""

    def missing_nodes(self, marks: Collection[str]) -> list[str]:
        """Return the names of nodes that should be running but do not respond."""
        lost = set(self.outputs().nodes) - set(marks)
        # Ray reports a dead node as alive for 10 s, but its port closes immediately.
        silent = set(silent_nodes(self._state.load()))
        return sorted({mark.rsplit(".", 1)[0] for mark in lost} | silent)

    def is_deleted(self) -> bool:
        """Return whether the stack was deleted.

        Waits until no process holds its lock, because that process may be deleting it.
        """
        deadline = time.monotonic() + _DELETING_SECONDS
        while self._state.is_locked() and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.exists()

    def check_deletable(self) -> bool:
        """Return whether there is anything to delete.

        A local stack is never protected.
        """
        return self.exists()

    def destroy(self, *, progress: Say) -> bool:
        """Stop all processes and delete all files; return False if nothing existed.

        Raises:
            Leftovers: A process or a file remains. The message names it.
        """
        with self._state.lock():
            running = processes.find(self._state.path)
            existed = bool(running) or self._state.exists()
            if running:
                progress(f"stopping processes ({len(running)})")
            left = processes.stop(self._state.path)
            if left:
                pids = ", ".join(str(p.process.pid) for p in left)
                raise Leftovers(
                    f"processes {pids} are still running",
                    hint=f"stop them, then run `raylift delete -s {self.name}` again",
                )
            self._state.remove()
        self._state.remove_empty_parents()
        return existed

    def _why_not_up(self, applied: Applied | None) -> str:
        if applied:
            return "has stopped"
        if processes.find(self._state.path):
            return "is running, but its state file is missing"
        return "is not up"

    def _preview(self, applied: Applied | None, *, restart: bool) -> list[StackChange]:
        running = running_nodes(self._state.path, applied)
        if applied is None and HEAD in running:
            # Another `up` may have written the file between the two reads.
            applied = self._state.load()
            running = running_nodes(self._state.path, applied)
        reasons = self._restart_reasons(applied) if HEAD in running else []
        if not reasons:
            return plan_changes(self.config, applied, running)
        if restart:
            why = ", ".join(reasons)
            return [
                StackChange("restart", name, why) for name in node_names(self.config)
            ]
        consequence = (
            "applications restart automatically; requests fail in the meantime"
            if applied
            else "the applications are lost"
        )
        raise FailedPrecondition(
            f"cannot apply these changes without restarting Ray: {', '.join(reasons)}",
            hint=f"run `raylift up -s {self.name} --restart` ({consequence})",
        )

    def _restart_reasons(self, applied: Applied | None) -> list[str]:
        if applied is None:
            return ["the stack's state file is missing"]
        return needs_restart(self.config, applied, ray_version=_ray_version())


def _ray_version() -> str:
    import importlib.metadata

    return importlib.metadata.version("ray")
