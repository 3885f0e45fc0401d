"""LocalStack: start, change and end the Ray processes of one stack."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from infra.local import ports as port_choice
from infra.local import processes
from infra.local.applied import Applied, load, save
from infra.local.changes import frozen, node_indices, node_names, plan_changes
from infra.local.haproxy import write_wrapper
from infra.local.loopback import write_hook
from infra.local.nodes import (
    HEAD,
    Folders,
    Node,
    node_mark,
    plan_nodes,
    raylet_port,
)
from infra.local.ports import MAX_NODES, Ports
from infra.stack import Change
from raylift.errors import CannotWork, Denied, InputFailed, LeftBehind
from raylift.files import is_held, locked, make_private_dir, write_private
from raylift.outputs import StackOutputs
from raylift.wording import printable

if TYPE_CHECKING:
    import contextlib
    import subprocess
    from collections.abc import Callable

    from infra.local.config import LocalConfig

_START_SECONDS = 60
_DELETING_SECONDS = 60
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Until then a raylet that does not listen may be starting; after that it is dead.
_STARTING_SECONDS = 60.0


class LocalStack:
    """One stack on this machine. Its state lies in one folder, its truth in /proc."""

    def __init__(self, name: str, stack_file: Path, state_dir: Path) -> None:
        self.name = name
        self._stack_file = stack_file
        self._folders = Folders(state_dir.resolve(), _ray_folder(state_dir.resolve()))

    @functools.cached_property
    def config(self) -> LocalConfig:
        """What the stack file says; a stack that runs is told by its state alone."""
        from infra.local.config import LocalConfig
        from infra.stack_file import load_stack_file

        config = load_stack_file(self._stack_file)
        if not isinstance(config, LocalConfig):
            raise CannotWork(
                f"stack '{self.name}' runs on this machine, but its file now says"
                f" target: {config.target}",
                hint=f"raylift delete -s {self.name}",
            )
        if sum(group.min_size for group in config.node_groups) >= MAX_NODES:
            raise InputFailed.at(
                "raylift:nodeGroups", f"at most {MAX_NODES - 1} nodes fit one machine"
            )
        return config

    def exists(self) -> bool:
        """Whether a process or a file of the stack is there."""
        return self._folders.state.exists() or bool(processes.find(self._folders.state))

    def preview(self, *, restart: bool = False) -> list[Change]:
        """What `up` would change.

        Raises:
            CannotWork: the head must restart for it, and `restart` is false.
        """
        return self._preview(load(self._state_file), restart=restart)

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
            before = load(self._state_file)
            changes = self._preview(before, restart=restart)
            if changes:
                self._apply(changes, before, progress=progress)
            return self.outputs()

    def outputs(self) -> StackOutputs:
        """How to reach the stack, also while its head is still starting."""
        applied = load(self._state_file)
        if applied is None or not self._head_lives(applied):
            state = "has stopped"
            if applied is None:
                alive = processes.find(self._folders.state)
                state = "has lost its state, but runs" if alive else "is not up"
            raise CannotWork(
                f"stack '{self.name}' {state}", hint=f"raylift up -s {self.name}"
            )
        ports = applied.ports
        return StackOutputs(
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
            state_dir=self._folders.state,
            token=self._token(),
        )

    def why_dead(self) -> str:
        """The first node that should run and does not, with the end of its log."""
        running = self._running(load(self._state_file))
        for name in node_names(self.config):
            if name not in running:
                said = _last_error(self._log(name)) or "it ended without a word"
                return f"node {name}: {said}"
        return ""

    def silent_nodes(self) -> list[str]:
        """Nodes whose raylet does not listen: dead, or still starting. Quick to ask."""
        applied = load(self._state_file)
        if applied is None:
            return []
        return [name for name in applied.nodes if not _raylet_listens(applied, name)]

    def is_deleted(self) -> bool:
        """Whether it is gone, once nobody holds its lock, who may be deleting it."""
        deadline = time.monotonic() + _DELETING_SECONDS
        while is_held(self._lock_file) and time.monotonic() < deadline:
            time.sleep(0.05)
        return not self.exists()

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

    def _preview(self, applied: Applied | None, *, restart: bool) -> list[Change]:
        running = self._running(applied)
        if applied is None and HEAD in running:
            # Another `up` may have written it, after we looked and before it started.
            applied = load(self._state_file)
            running = self._running(applied)
        needed: list[str] = []
        if HEAD in running:
            needed = ["its state is lost"]
            if applied:
                needed = frozen(self.config, applied, ray_version=_ray_version())
        if not needed:
            return plan_changes(self.config, applied, running)
        if restart:
            why = ", ".join(needed)
            return [Change("restart", name, why) for name in node_names(self.config)]
        comes_back = (
            "the applications come back by themselves; requests fail meanwhile"
            if applied
            else "without the applications it had"
        )
        raise CannotWork(
            f"cannot be done while Ray runs: {', '.join(needed)}",
            hint=f"raylift up -s {self.name} --restart ({comes_back})",
        )

    # -- acting --------------------------------------------------------------

    def _apply(
        self,
        changes: list[Change],
        before: Applied | None,
        *,
        progress: Callable[[str], None],
    ) -> None:
        fresh = any(change.what == HEAD for change in changes)
        leaving = None if fresh else {change.what for change in changes}
        # Held from before the ports are free until they are taken again.
        what = "ports of this machine"
        with locked(_machine_lock(), what=what, wait_s=120, make_folder=True):
            processes.stop(self._folders.state, leaving)
            ports = self._ports(before, fresh=fresh)
            starting = {change.what for change in changes if change.action != "stop"}
            indices = node_indices(self.config, before, starting=starting)
            self._prepare(ports)
            applied = Applied(ports, indices, self.config.resolved(), _ray_version())
            save(self._state_file, applied)
            for node in plan_nodes(
                self.config, ports=ports, indices=indices, folders=self._folders
            ):
                if node.name in starting:
                    progress(f"starting {node.name}")
                    child = self._start(node)
                    if node.name == HEAD:
                        self._await_control_store(child, ports)

    def _ports(self, before: Applied | None, *, fresh: bool) -> Ports:
        serve = self.config.serve
        if before is None:
            return port_choice.choose(serve=serve.port, grpc=serve.grpc_port)
        old = before.ports
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
            self._folders.site,
            self._folders.ray,
            self._folders.haproxy,
            self._folders.temporary,
        ):
            make_private_dir(folder)
        (self._folders.state.parent / ".gitignore").write_text("*\n", encoding="utf-8")
        if not self._folders.token.exists():
            write_private(self._folders.token, secrets.token_hex(32))
        write_hook(self._folders.site, host=self.config.serve.host)
        if self.config.ray.ingress == "haproxy":
            write_wrapper(
                self._folders.state / "haproxy",
                folder=self._folders.haproxy,
                metrics=ports.base + 5,
                stats=ports.base + 6,
            )

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
        what = f"stack '{self.name}'"
        return locked(self._lock_file, what=what, wait_s=120, make_folder=True)

    @property
    def _state_file(self) -> Path:
        return self._folders.state / "state.json"

    def _token(self) -> str:
        try:
            return self._folders.token.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise Denied(
                f"{self._folders.token}: cannot be read: {error.strerror}",
                hint=f"raylift up -s {self.name} --restart makes a new one",
            ) from None

    def _running(self, applied: Applied | None) -> set[str]:
        """Nodes whose `ray start` lives and whose raylet listens or may soon."""
        found = processes.find(self._folders.state)
        return {
            name
            for name, seconds in processes.leaders(found).items()
            if applied is None
            or seconds < _STARTING_SECONDS
            or name not in applied.nodes
            or _raylet_listens(applied, name)
        }

    def _head_lives(self, applied: Applied) -> bool:
        """By its port, which is quick to ask; while it starts, by its process."""
        return port_choice.is_open(applied.ports.gcs) or HEAD in self._running(applied)

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


def _raylet_listens(applied: Applied, name: str) -> bool:
    return port_choice.is_open(raylet_port(applied.ports.of_node(applied.nodes[name])))


def _last_error(log: Path) -> str:
    """The exception that ended a node, or what it said last."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    told = [line.strip() for line in _COLOUR.sub("", text).splitlines() if line.strip()]
    errors = [line for line in told if re.match(r"[\w.]*(Error|Exception)\b", line)]
    return printable((errors or told or [""])[-1], limit=300)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise LeftBehind(f"files that could not be removed: {folder}")
