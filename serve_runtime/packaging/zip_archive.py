"""A reproducible zip of a tree: the same content results in the same bytes.

For `package` only. Each file is read once, so its hash, secret scan and bytes in the
zip are consistent. Files are not compressed, as in Ray's own packages: compression
costs more time than it saves, and its output depends on the version of zlib.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from typing import TYPE_CHECKING

from raylift.serve_runtime.packaging import secret_scan, stat_cache
from raylift.serve_runtime.packaging.file_names import shown
from raylift.serve_runtime.packaging.stat_cache import Known

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from raylift.serve_runtime.packaging.file_tree import File, Tree

MARKER = ".raylift-package"
"""A file that preserves a single top-level directory.

Ray would otherwise strip the directory from a fetched package (packaging.py,
get_top_level_dir_from_compressed_package).
"""

_CHUNK = 1024 * 1024
_CHANGED = "changed during packaging; try again when nothing is writing to it"
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class UnreadError(Exception):
    """A file that cannot be read or has changed since the walk."""


def size(tree: Tree) -> int:
    """Return the size of the zip in bytes.

    Each file has two headers, of 30 and 46 bytes, with its path in both.
    """
    members = [(file.path, file.stat.st_size) for file in tree.files]
    if _needs_marker(tree):
        members.append((MARKER, 0))
    total = sum(76 + 2 * len(path.encode()) + length for path, length in members)
    is_zip64 = len(members) > zipfile.ZIP_FILECOUNT_LIMIT
    return total + 22 + (76 if is_zip64 else 0)  # the records at the end


def _needs_marker(tree: Tree) -> bool:
    return all("/" in file.path for file in tree.files)


def write(tree: Tree, path: Path) -> tuple[dict[str, Known], list[str]]:
    """Write the zip; return the entries of its files and the files not read.

    Each file that cannot be read is reported in one line with the reason.

    Raises:
        OSError: The zip cannot be written.
    """
    known: dict[str, Known] = {}
    unread: list[str] = []
    with path.open("wb") as stream:
        with zipfile.ZipFile(stream, "w") as archive:
            if _needs_marker(tree):
                archive.writestr(_member(MARKER, 0o644), b"")
            for file in tree.files:
                try:
                    known[file.path] = _add(archive, file)
                except UnreadError as error:
                    unread.append(f"{shown(file.path)}: {error}")
        stream.flush()
        os.fsync(stream.fileno())
    return known, unread


def _member(path: str, mode: int) -> zipfile.ZipInfo:
    """Return a zip member that does not depend on the machine or time."""
    member = zipfile.ZipInfo(path, date_time=(1980, 1, 1, 0, 0, 0))
    member.create_system = 3  # Unix: Ray takes the mode from the upper 16 bits
    member.external_attr = (stat.S_IFREG | mode) << 16
    return member


def _add(archive: zipfile.ZipFile, file: File) -> Known:
    """Add a file to the zip.

    Raises:
        UnreadError: The file cannot be read or has changed since the walk.
    """
    digest = hashlib.sha256()
    judged: list[bytes] = []
    is_judged = secret_scan.is_judged_by_content(file.real, file.stat.st_size)
    with archive.open(_member(file.path, file.mode), "w") as member:
        for chunk in _chunks(file):
            digest.update(chunk)
            member.write(chunk)
            if is_judged:
                judged.append(chunk)
    secret = secret_scan.by_content(file.real, b"".join(judged)) if is_judged else ""
    return Known(*stat_cache.stamp(file.stat), digest.hexdigest(), secret)


def _chunks(file: File) -> Iterator[bytes]:
    """Yield the content of a file, while it is unchanged since the walk."""
    try:
        handle = os.open(file.source, _OPEN)
        try:
            _must_be(file, os.fstat(handle))
            yield from _read(handle, file.stat.st_size)
            _must_be(file, os.fstat(handle))
        finally:
            os.close(handle)
    except PermissionError:
        raise UnreadError("cannot be read: permission denied") from None
    except OSError:
        raise UnreadError(_CHANGED) from None


def _read(handle: int, size: int) -> Iterator[bytes]:
    """Yield an open file of `size` bytes; raise UnreadError if it grows."""
    while chunk := os.read(handle, min(_CHUNK, size + 1)):
        size -= len(chunk)
        if size < 0:
            raise UnreadError(_CHANGED)
        yield chunk


def _must_be(file: File, now: os.stat_result) -> None:
    seen = file.stat
    is_same = (now.st_dev, now.st_mode) == (seen.st_dev, seen.st_mode)
    if not is_same or stat_cache.stamp(now) != stat_cache.stamp(seen):
        raise UnreadError(_CHANGED)
