"""The directories, files and locks of a local stack."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from raylift.errors import FailedPrecondition, Leftovers, PermissionDenied
from raylift.infra.local.node_plan import Folders
from raylift.infra.local.state import Applied, load, save
from raylift.messages import os_reason
from raylift.state_files import is_held, locked, make_private_dir, write_private

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

_LOCK_SECONDS = 120


class StateDir:
    """`.raylift/<stack>` of a project, its lock, and Ray's directory in /tmp."""

    def __init__(self, stack: str, path: Path) -> None:
        self.stack = stack
        self.path = path.resolve()
        self.folders = Folders(self.path, _ray_folder(self.path))
        self._lock_file = self.path.with_name(f"{stack}.lock")
        self._state_file = self.path / "state.json"

    def exists(self) -> bool:
        """Return whether the directory exists."""
        return self.path.exists()

    def lock(self) -> AbstractContextManager[None]:
        """Hold the lock of the stack, which `up` and `delete` take.

        Raises:
            Conflict: Another process held the lock for too long.
        """
        return _locked(self._lock_file, f"stack '{self.stack}'")

    def is_locked(self) -> bool:
        """Return whether a process holds the lock."""
        return is_held(self._lock_file)

    def load(self) -> Applied | None:
        """Return the state that the last `up` applied; None if the stack is not up."""
        return load(self._state_file)

    def save(self, applied: Applied) -> None:
        """Record the state that `up` applies."""
        save(self._state_file, applied)

    def log(self, node: str) -> Path:
        """Return the path of the log of `ray start` on a node."""
        return self.path / "logs" / f"{node}.log"

    def token(self) -> str:
        """Return Ray's authentication token.

        Raises:
            PermissionDenied: The file is missing or not readable.
        """
        try:
            return self.folders.token.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise PermissionDenied(
                f"{self.folders.token}: cannot be read: {os_reason(error)}",
                hint=f"run `raylift up -s {self.stack} --restart` to create a token",
            ) from None

    def create(self) -> None:
        """Create missing directories, the .gitignore and the token."""
        for folder in (
            self.path,
            self.path / "gcs",
            self.path / "logs",
            self.folders.empty,
            self.folders.site,
            self.folders.ray,
            self.folders.haproxy,
            self.folders.temporary,
        ):
            make_private_dir(folder)
        write_private(self.path.parent / ".gitignore", "*\n")
        if not self.folders.token.exists():
            write_private(self.folders.token, secrets.token_hex(32))

    def remove(self) -> None:
        """Remove all files and the lock. The caller holds the lock.

        Raises:
            Leftovers: A directory could not be removed.
        """
        for folder in (self.folders.ray, self.path):
            shutil.rmtree(folder, ignore_errors=True)
            if folder.exists():
                raise Leftovers(
                    f"cannot remove {folder}",
                    hint="remove it by hand, or check its permissions",
                )
        self._lock_file.unlink(missing_ok=True)

    def remove_empty_parents(self) -> None:
        """Remove `.raylift` and Ray's parent directory if no other stack uses them."""
        parent = self.path.parent
        if parent.is_dir() and {p.name for p in parent.iterdir()} <= {".gitignore"}:
            (parent / ".gitignore").unlink(missing_ok=True)
            parent.rmdir()
        folder = self.folders.ray.parent
        if folder.is_dir() and not any(folder.glob("[!.]*")):
            shutil.rmtree(folder, ignore_errors=True)


def machine_lock() -> AbstractContextManager[None]:
    """Hold the lock that protects the choice of ports by local stacks of one user.

    Raises:
        Conflict: Another process held the lock for too long.
        FailedPrecondition: Another user owns the directory of the lock.
    """
    folder = make_private_dir(_machine_folder())
    if folder.stat().st_uid != os.getuid():
        raise FailedPrecondition(f"{folder} belongs to another user")
    return _locked(folder / ".lock", "port allocation")


def _locked(path: Path, what: str) -> AbstractContextManager[None]:
    return locked(path, what=what, wait_s=_LOCK_SECONDS, make_folder=True)


def _ray_folder(state_dir: Path) -> Path:
    name = hashlib.sha256(str(state_dir).encode()).hexdigest()[:8]
    return _machine_folder() / name


def _machine_folder() -> Path:
    """Return the directory of Ray's files, one per user.

    It is in /tmp because the paths of Unix sockets must be short.
    """
    return Path("/tmp") / f"raylift-{os.getuid()}"  # noqa: S108 created 0700, owner checked
