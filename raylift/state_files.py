"""State files that survive a crash: atomic writes and file locks."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raylift.errors import Conflict, Leftovers, PermissionDenied, RayliftError
from raylift.messages import os_reason

if TYPE_CHECKING:
    from collections.abc import Iterator


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically; only its owner can read it.

    Raises:
        PermissionDenied: The directory is not writable.
        RayliftError: The disk is full or has failed.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise _unwritable(path, error) from None
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write a JSON value with `write_private`."""
    write_private(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON mapping in a file, or None if the file does not exist.

    Raises:
        PermissionDenied: The file cannot be read.
        Leftovers: The file does not contain a JSON mapping.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PermissionDenied(f"{path}: cannot be read: {os_reason(error)}") from None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Leftovers(
            f"{path}: corrupted: not a JSON object",
            hint=f"run `raylift delete -s {path.parent.name}`, which also deletes the"
            " state of the stack",
        )
    return value


def make_private_dir(path: Path) -> Path:
    """Create a directory with mode 0700, if needed, but not its parents.

    A write must not recreate the state directory of a deleted stack.

    Raises:
        PermissionDenied, RayliftError: The directory cannot be created.
    """
    try:
        path.mkdir(exist_ok=True, mode=0o700)
        path.chmod(0o700)
    except OSError as error:
        raise _unwritable(path, error) from None
    return path


@contextlib.contextmanager
def locked(
    path: Path, *, what: str, wait_s: float, make_folder: bool = False
) -> Iterator[None]:
    """Hold an exclusive lock, which the kernel releases if the process dies.

    `what` names the locked object in the error. With `make_folder`, the directory is
    created; a holder of the lock may delete it.

    Raises:
        Conflict: Another process has held the lock for `wait_s` seconds.
    """
    deadline = time.monotonic() + wait_s
    while (handle := _acquire(path, make_folder=make_folder)) is None:
        if time.monotonic() >= deadline:
            raise Conflict(
                f"{what}: locked by another raylift command",
                hint="wait for it to finish, then run the same command again",
            )
        time.sleep(0.05)
    try:
        yield
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Return whether a process holds this lock. Does not create the lock file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # A shared lock, so that concurrent checks do not block each other.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def _acquire(path: Path, *, make_folder: bool) -> int | None:
    """Return a locked handle of the file at `path`, or None if it is in use."""
    try:
        if make_folder:
            path.parent.mkdir(exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # If the previous holder has deleted the file, this lock protects nothing.
        if path.exists() and path.stat().st_ino == os.fstat(handle).st_ino:
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


def _unwritable(path: Path, error: OSError) -> RayliftError:
    kind = PermissionDenied if isinstance(error, PermissionError) else RayliftError
    return kind(f"{path}: cannot be written: {os_reason(error)}")
