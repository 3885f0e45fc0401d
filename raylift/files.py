"""State on disk that a crash cannot tear: atomic writes and file locks."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raylift.errors import Conflict, Denied, LeftBehind, RayliftError

if TYPE_CHECKING:
    from collections.abc import Iterator


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; afterwards it is all there or as it was.

    The file is readable by its owner only.

    Raises:
        Denied: the directory may not be written.
        RayliftError: the disk is full or failing.
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
    """`write_private` of a JSON value."""
    write_private(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON mapping, or None where the file does not exist.

    Raises:
        LeftBehind: the file is there but holds no JSON mapping.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Denied(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise LeftBehind(
            f"{path}: damaged, not a JSON mapping",
            hint="raylift delete ends the stack and removes its state",
        )
    return value


def make_private_dir(path: Path) -> Path:
    """A directory that only its owner can enter; made if needed, but not its parents.

    What lies in a stack's state directory must not bring it back after a delete.
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
    """Hold an exclusive lock; the kernel frees it when the process dies.

    `make_folder` is for a folder that whoever holds the lock may take away.

    Raises:
        Conflict: another process held it for `wait_s` seconds.
    """
    deadline = time.monotonic() + wait_s
    while (handle := _acquire(path, make_folder=make_folder)) is None:
        if time.monotonic() >= deadline:
            raise Conflict(
                f"{what}: another raylift command holds it",
                hint="wait for it to finish, then run the same command again",
            )
        time.sleep(0.05)
    try:
        yield
    finally:
        os.close(handle)


def is_held(path: Path) -> bool:
    """Whether a process holds this lock; no file is made to find out."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared: another who only asks does not find it held by us.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def _acquire(path: Path, *, make_folder: bool) -> int | None:
    """An open, locked handle of the file that `path` names now, or None."""
    try:
        if make_folder:
            path.parent.mkdir(exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The holder before us may have deleted the file: then this lock is nobody's.
        if path.exists() and path.stat().st_ino == os.fstat(handle).st_ino:
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


def _unwritable(path: Path, error: OSError) -> RayliftError:
    reason = error.strerror or str(error)
    kind = Denied if isinstance(error, PermissionError) else RayliftError
    return kind(f"{path}: cannot be written: {reason.lower()}")
