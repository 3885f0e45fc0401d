"""A cache of the hashes of a directory's files, keyed by their stat.

For this package only. It works like Git's index: a file with an unchanged stat has
unchanged content, unless it changed so recently that another change could have the same
timestamp. A damaged, outdated or missing cache counts as empty.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from raylift.errors import RayliftError
from raylift.serve_runtime.packaging import secret_scan
from raylift.state_files import write_private

if TYPE_CHECKING:
    import os
    from pathlib import Path

RACY_NS = 2_000_000_000
"""The coarsest timestamp resolution of a file system (FAT), in nanoseconds."""

_FORMAT = 1


class Known(NamedTuple):
    """A file's stat (bytes, nanoseconds), and the hash and secret of its content."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    digest: str
    secret: str


class Index(NamedTuple):
    """Known files by POSIX path; `read_ns` is the time before they were read."""

    read_ns: int
    files: dict[str, Known]

    def get(self, path: str, now: os.stat_result) -> Known | None:
        """Return the entry of a file if it is certainly valid."""
        known = self.files.get(path)
        if known is None or known[:4] != stamp(now):
            return None
        is_racy = max(known.mtime_ns, known.ctime_ns) >= self.read_ns - RACY_NS
        return None if is_racy else known


def stamp(now: os.stat_result) -> tuple[int, int, int, int]:
    """Return the part of a stat that changes with the content.

    It includes the change time, which programs cannot set.
    """
    return (now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino)


def load(path: Path) -> Index:
    """Read an index; return an empty one if the file is missing or damaged."""
    try:
        checksum, _, body = path.read_bytes().partition(b"\n")
        if checksum.decode() != hashlib.sha256(body).hexdigest():
            return Index(0, {})
        head, read_ns, files = json.loads(body)
        if head != [_FORMAT, secret_scan.VERSION]:
            return Index(0, {})
        return Index(read_ns, {name: Known(*known) for name, known in files.items()})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return Index(0, {})


def save(path: Path, index: Index) -> None:
    """Replace the index atomically."""
    head = [_FORMAT, secret_scan.VERSION]
    body = json.dumps([head, index.read_ns, index.files], separators=(",", ":"))
    checksum = hashlib.sha256(body.encode()).hexdigest()
    # The package is complete; without an index, the next one only takes longer.
    with contextlib.suppress(RayliftError):
        write_private(path, f"{checksum}\n{body}")
