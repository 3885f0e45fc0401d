"""LocalStack: start, change and end the Ray processes of one stack."""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.local import ports as port_choice
from infra.local import processes
from infra.local.haproxy import write_wrapper
from infra.local.nodes import HEAD, Folders, Node, plan_nodes
from infra.local.ports import MAX_NODES, Ports
from infra.stack import Change
from raylift.errors import CannotWork, Denied, InputFailed, LeftBehind
from raylift.files import locked, make_private_dir, read_json, write_json, write_private
from raylift.outputs import StackOutputs

if TYPE_CHECKING:
    import contextlib
    import subprocess
    from collections.abc import Callable

    from infra.config import StackConfig

_START_SECONDS = 60


class LocalStack:
    """One stack on this machine. Its state lies in one folder, its truth in /proc."""

    def __init__(self, name: str, stack_file: Path, state_dir: Path) -> None:
        self.name = name
        self._stack_file = stack_file
        self._folders = Folders(state_dir.resolve(), _ray_folder(state_dir.resolve()))

    @functools.cached_property
    def config(self) -> StackConfig:
        """What the stack file says; a stack that runs is told by its state alone."""
        from infra.stack_file import load_stack_file

        config = load_stack_file(self._stack_file)
        if sum(group.min_size for group in config.node_groups) >= MAX_NODES:
            raise InputFailed.at(
                "raylift:nodeGroups", f"at most {MAX_NODES - 1} nodes fit one machine"
            )
        return config

    @property
    def node_count(self) -> int:
        """The head and every simulated node."""
        return 1 + sum(group.min_size for group in self.config.node_groups)

    def exists(self) -> bool:
        """Whether a process or a file of the stack is there."""
        return self._folders.state.exists() or bool(self._running())

    def preview(self, *, restart: bool = False) -> list[Change]:
        """What `up` would change.

        Raises:
            CannotWork: the head must restart for it, and `restart` is false.
        """
        return self._preview(self._applied(), restart=restart)

    def up(
        self, *, progress: Callable[[str], None], restart: bool = False
    ) -> StackOutputs:
        """Start what is missing, end what is too much.

        Returns when Ray's control store accepts connections; the dashboard and the
        other nodes need a moment more.

        Raises:
            CannotWork: a port is taken, Ray did not start, or see `preview`.
            Conflict: another `up` or `delete` of this stack has run for too long.
        """
        with self._locked():
            before = self._applied()
            changes = self._preview(before, restart=restart)
            if changes:
                self._apply(changes, before, progress=progress)
            return self.outputs()

    def outputs(self) -> StackOutputs:
        """How to reach the stack, also while its head is still starting."""
        applied = self._applied()
        if applied is None or not self._head_lives(applied):
            state = "is not up" if applied is None else "has stopped"
            raise CannotWork(
                f"stack '{self.name}' {state}", hint=f"raylift up -s {self.name}"
            )
        ports = Ports(**applied["ports"])
        return StackOutputs(
            stack=self.name,
            target="local",
            dashboard_url=f"http://127.0.0.1:{ports.dashboard}",
            serve_host=applied["config"]["raylift:serve"]["host"],
            serve_port=ports.serve,
            grpc_port=ports.grpc,
            ingress=applied["config"]["raylift:ray"]["ingress"],
            ray_version=applied["rayVersion"],
            state_dir=self._folders.state,
            token=self._token(),
        )

    def why_dead(self) -> str:
        """The last telling line of the head's log; empty while it runs."""
        if HEAD in self._running():
            return ""
        return _last_error(self._log(HEAD)) or "it ended without a word"

    def destroy(self, *, progress: Callable[[str], None]) -> bool:
        """End every process, remove every file, and look again.

        Raises:
            LeftBehind: naming the processes or files that would not go.
        """
        with self._locked():
            found = processes.find(self._folders.state)
            existed = bool(found) or self._folders.state.exists()
            if found:
                progress(f"ending {len(found)} processes")
            left = processes.stop(self._folders.state)
            if left:
                pids = ", ".join(str(p.process.pid) for p in left)
                raise LeftBehind(f"processes that would not end: {pids}")
            for folder in (self._folders.ray, self._folders.state):
                _remove(folder)
            self._lock_file.unlink(missing_ok=True)
        self._remove_empty_parents()
        return existed

    # -- deciding ------------------------------------------------------------

    def _preview(
        self, applied: dict[str, Any] | None, *, restart: bool
    ) -> list[Change]:
        running = self._running()
        wanted = self._nodes_of(applied)
        if HEAD not in running:
            return [Change("start", name) for name in wanted]
        if frozen := self._needs_restart(applied):
            if not restart:
                raise CannotWork(
                    f"cannot be changed while Ray runs: {', '.join(frozen)}",
                    hint=f"raylift up -s {self.name} --restart (the applications come"
                    " back by themselves; requests fail meanwhile)",
                )
            return [Change("restart", name, ", ".join(frozen)) for name in wanted]
        return self._node_changes(applied or {}, running, set(wanted))

    def _node_changes(
        self, applied: dict[str, Any], running: set[str], wanted: set[str]
    ) -> list[Change]:
        old = {g["name"]: g for g in applied["config"]["raylift:nodeGroups"]}
        new = {g.name: g.model_dump(by_alias=True) for g in self.config.node_groups}
        changes = []
        for name in sorted(running | wanted):
            group = name.rsplit("-", 1)[0]
            if name not in wanted:
                changes.append(Change("stop", name, "not in the stack file"))
            elif name not in running:
                changes.append(Change("start", name))
            elif name != HEAD and _shape(old.get(group)) != _shape(new[group]):
                changes.append(Change("restart", name, "its node group changed"))
        return changes

    def _needs_restart(self, applied: dict[str, Any] | None) -> list[str]:
        if applied is None:
            return ["a head without state"]
        wanted, has = self.config.resolved(), applied["config"]
        ports = Ports(**applied["ports"])
        serve = self.config.serve
        frozen = [
            f"{section}.{key}"
            for section in ("raylift:ray", "raylift:serve")
            for key in wanted[section]
            if wanted[section][key] != has[section].get(key)
            and key not in ("port", "grpcPort", "defaults")
        ]
        if serve.port not in (None, ports.serve):
            frozen.append("raylift:serve.port")
        if serve.grpc_port not in (None, ports.grpc):
            frozen.append("raylift:serve.grpcPort")
        if applied["rayVersion"] != _ray_version():
            frozen.append(f"Ray {applied['rayVersion']} to {_ray_version()}")
        return frozen

    # -- acting --------------------------------------------------------------

    def _apply(
        self,
        changes: list[Change],
        before: dict[str, Any] | None,
        *,
        progress: Callable[[str], None],
    ) -> None:
        fresh = any(c.what == HEAD for c in changes)
        leaving = None if fresh else {c.what for c in changes if c.action != "start"}
        if leaving is None or leaving:
            processes.stop(self._folders.state, leaving)
        with locked(_machine_lock(), what="ports of this machine", wait_s=60):
            ports = self._ports(before, fresh=fresh)
            self._prepare(ports)
            self._record(ports)
            starting = {c.what for c in changes if c.action in ("start", "restart")}
            nodes = plan_nodes(self.config, ports=ports, folders=self._folders)
            for node in nodes:
                if node.name in starting:
                    progress(f"starting {node.name}")
                    child = self._start(node)
                    if node.name == HEAD:
                        self._await_control_store(child, ports)

    def _ports(self, before: dict[str, Any] | None, *, fresh: bool) -> Ports:
        serve = self.config.serve
        if before is None:
            return port_choice.choose(serve=serve.port, grpc=serve.grpc_port)
        old = Ports(**before["ports"])
        if not fresh:
            return old
        kept = Ports(old.base, serve.port or old.serve, serve.grpc_port or old.grpc)
        port_choice.check_free(kept)
        return kept

    def _prepare(self, ports: Ports) -> None:
        for folder in (
            self._folders.state,
            self._folders.state / "gcs",
            self._folders.state / "logs",
            self._folders.empty,
            self._folders.ray,
            self._folders.haproxy,
        ):
            make_private_dir(folder)
        (self._folders.state.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        if not self._folders.token.exists():
            write_private(self._folders.token, secrets.token_hex(32))
        if self.config.ray.ingress == "haproxy":
            write_wrapper(
                self._folders.state / "haproxy",
                folder=self._folders.haproxy,
                metrics=ports.base + 5,
                stats=ports.base + 6,
            )

    def _record(self, ports: Ports) -> None:
        state = {
            "ports": ports.to_json(),
            "config": self.config.resolved(),
            "rayVersion": _ray_version(),
        }
        write_json(self._folders.state / "state.json", state)

    def _start(self, node: Node) -> subprocess.Popen[bytes]:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RAY_", "RAYLIFT_"))
        }
        # Ray looks on the path for tools that come with it, such as py-spy.
        path = f"{Path(node.argv[0]).parent}:{inherited.get('PATH', os.defpath)}"
        return processes.start(
            node.argv,
            environment=inherited | {"PATH": path} | node.environment,
            cwd=self._folders.empty,
            log=self._log(node.name),
        )

    def _await_control_store(
        self, child: subprocess.Popen[bytes], ports: Ports
    ) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not port_choice.is_open(ports.gcs):
            if child.poll() is not None:
                raise CannotWork(
                    f"Ray did not start: {_last_error(self._log(HEAD))}",
                    hint=f"the whole log: {self._log(HEAD)}",
                )
            if time.monotonic() >= deadline:
                raise CannotWork(
                    f"Ray did not start within {_START_SECONDS} s",
                    hint=f"its log: {self._log(HEAD)}",
                )
            time.sleep(0.02)

    # -- state ---------------------------------------------------------------

    @property
    def _lock_file(self) -> Path:
        return self._folders.state.with_name(f"{self.name}.lock")

    def _locked(self) -> contextlib.AbstractContextManager[None]:
        return locked(self._lock_file, what=f"stack '{self.name}'", wait_s=120)

    def _applied(self) -> dict[str, Any] | None:
        state = read_json(self._folders.state / "state.json")
        if state is not None and not {"ports", "config", "rayVersion"} <= state.keys():
            raise LeftBehind(
                f"{self._folders.state}/state.json: not this version's",
                hint=f"raylift delete -s {self.name}",
            )
        return state

    def _token(self) -> str:
        try:
            return self._folders.token.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Denied(
                f"{self._folders.token}: cannot be read: {error.strerror}",
                hint=f"raylift up -s {self.name} --restart makes a new one",
            ) from None

    def _running(self) -> set[str]:
        return processes.leaders(processes.find(self._folders.state))

    def _head_lives(self, applied: dict[str, Any]) -> bool:
        """By its port, which is quick to ask; while it starts, by its process."""
        ports = Ports(**applied["ports"])
        return port_choice.is_open(ports.gcs) or HEAD in self._running()

    def _nodes_of(self, applied: dict[str, Any] | None) -> list[str]:
        ports = Ports(**applied["ports"]) if applied else Ports(0, 0, 0)
        nodes = plan_nodes(self.config, ports=ports, folders=self._folders)
        return [node.name for node in nodes]

    def _log(self, node: str) -> Path:
        return self._folders.state / "logs" / f"{node}.log"

    def _remove_empty_parents(self) -> None:
        parent = self._folders.state.parent
        ignore = parent / ".gitignore"
        if parent.is_dir() and {p.name for p in parent.iterdir()} <= {".gitignore"}:
            ignore.unlink(missing_ok=True)
            parent.rmdir()
        for folder in (self._folders.ray.parent,):
            if folder.is_dir() and not any(folder.glob("[!.]*")):
                shutil.rmtree(folder, ignore_errors=True)


def _ray_folder(state_dir: Path) -> Path:
    name = hashlib.sha256(str(state_dir).encode()).hexdigest()[:8]
    return _machine_folder() / name


def _machine_folder() -> Path:
    """Ray's own folders, by user; in /tmp since socket paths must be short."""
    return Path("/tmp") / f"raylift-{os.getuid()}"  # noqa: S108 made 0700 and checked


def _machine_lock() -> Path:
    folder = make_private_dir(_machine_folder())
    if folder.stat().st_uid != os.getuid():
        raise CannotWork(f"{folder}: belongs to another user")
    return folder / ".lock"


def _ray_version() -> str:
    import importlib.metadata

    return importlib.metadata.version("ray")


def _shape(group: dict[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (group or {}).items() if key != "minSize"}


def _last_error(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    told = [line.strip() for line in lines if line.strip()]
    errors = [line for line in told if "Error" in line or "error" in line]
    return (errors or told or [""])[-1]


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise LeftBehind(f"files that could not be removed: {folder}")
