"""The zip of a tree: the same bytes for the same content, wherever and whenever made.

For `package` only. Every file is read once: the hash, the search for secrets and the
zip are of the same bytes. Nothing is compressed (nor does Ray's own packager): that
costs more time than it saves, and the bytes would depend on the version of zlib.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from typing import TYPE_CHECKING

from serve_runtime.packing import index as package_index
from serve_runtime.packing import secrets_found
from serve_runtime.packing.index import Known
from serve_runtime.packing.names import shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from serve_runtime.packing.tree import File, Tree

MARKER = ".raylift-package"
"""Ray drops the only top-level directory of a package that it fetched from a URI
(packaging.py, get_top_level_dir_from_compressed_package). A file beside it keeps it."""

_CHUNK = 1024 * 1024
_CHANGED = "changed while it was packed; try again when nothing writes to it"
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class UnreadError(Exception):
    """A file could not be read as it was seen."""


def size(tree: Tree) -> int:
    """Bytes of the zip: each file has two headers (30 and 46) with its path in both."""
    members = [(file.path, file.stat.st_size) for file in tree.files]
    if _needs_marker(tree):
        members.append((MARKER, 0))
    total = sum(76 + 2 * len(path.encode()) + length for path, length in members)
    is_zip64 = len(members) > zipfile.ZIP_FILECOUNT_LIMIT
    return total + 22 + (76 if is_zip64 else 0)  # the records at the end


def _needs_marker(tree: Tree) -> bool:
    return all("/" in file.path for file in tree.files)


def write(tree: Tree, path: Path) -> tuple[dict[str, Known], list[str]]:
    """Zip the files: what is known of each now, and why some could not be read.

    Raises:
        OSError: the zip cannot be written.
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
    """A zip member in which nothing is of this machine or this moment."""
    member = zipfile.ZipInfo(path, date_time=(1980, 1, 1, 0, 0, 0))
    member.create_system = 3  # Unix: Ray takes the mode from the upper 16 bits
    member.external_attr = (stat.S_IFREG | mode) << 16
    return member


def _add(archive: zipfile.ZipFile, file: File) -> Known:
    """Zip one file.

    Raises:
        UnreadError: it cannot be read, or is no longer the file that was seen.
    """
    digest = hashlib.sha256()
    judged: list[bytes] = []
    is_judged = secrets_found.is_judged_by_content(file.real, file.stat.st_size)
    with archive.open(_member(file.path, file.mode), "w") as member:
        for chunk in _chunks(file):
            digest.update(chunk)
            member.write(chunk)
            if is_judged:
                judged.append(chunk)
    secret = secrets_found.by_content(file.real, b"".join(judged)) if is_judged else ""
    return Known(*package_index.stamp(file.stat), digest.hexdigest(), secret)


def _chunks(file: File) -> Iterator[bytes]:
    """The content of a file, as long as it is the file that was seen."""
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
    """All of an open file of `size` bytes; not more, if it grows meanwhile."""
    while chunk := os.read(handle, min(_CHUNK, size + 1)):
        size -= len(chunk)
        if size < 0:
            raise UnreadError(_CHANGED)
        yield chunk


def _must_be(file: File, now: os.stat_result) -> None:
    seen = file.stat
    is_same = (now.st_dev, now.st_mode) == (seen.st_dev, seen.st_mode)
    if not is_same or package_index.stamp(now) != package_index.stamp(seen):
        raise UnreadError(_CHANGED)
