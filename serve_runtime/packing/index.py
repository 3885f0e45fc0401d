"""What is known of the files of a directory since it was last packed.

For `package` only. As git's index: a file whose stat is as it was has the content that
it had, unless it was touched so late that a second change could bear the same time.
A cache and no more: one that is damaged, old or gone is as one that is empty.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from raylift.errors import RayliftError
from raylift.files import write_private
from serve_runtime.packing import secrets_found

if TYPE_CHECKING:
    import os
    from pathlib import Path

RACY_NS = 2_000_000_000
"""The coarsest clock of a file system (FAT): two changes within may look like one."""

_FORMAT = 1


class Known(NamedTuple):
    """A file's stat (bytes, nanoseconds) and what its content was then found to be."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    digest: str
    secret: str


class Index(NamedTuple):
    """Known files by their POSIX path; `read_ns` is when the reading of them began."""

    read_ns: int
    files: dict[str, Known]

    def get(self, path: str, now: os.stat_result) -> Known | None:
        """What is known of a file, if that is sure to be still true."""
        known = self.files.get(path)
        if known is None or known[:4] != stamp(now):
            return None
        is_racy = max(known.mtime_ns, known.ctime_ns) >= self.read_ns - RACY_NS
        return None if is_racy else known


def stamp(now: os.stat_result) -> tuple[int, int, int, int]:
    """The part of a stat that changes when the content does.

    The change time is in it because nobody can set it back, unlike the others.
    """
    return (now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino)


def load(path: Path) -> Index:
    """The index in a file, empty where there is none that can be believed."""
    try:
        checksum, _, body = path.read_bytes().partition(b"\n")
        if checksum.decode() != hashlib.sha256(body).hexdigest():
            return Index(0, {})
        head, read_ns, files = json.loads(body)
        if head != [_FORMAT, secrets_found.VERSION]:
            return Index(0, {})
        return Index(read_ns, {name: Known(*known) for name, known in files.items()})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return Index(0, {})


def save(path: Path, index: Index) -> None:
    """Replace the index in one step."""
    head = [_FORMAT, secrets_found.VERSION]
    body = json.dumps([head, index.read_ns, index.files], separators=(",", ":"))
    checksum = hashlib.sha256(body.encode()).hexdigest()
    # The package is made; without an index the next one only takes longer.
    with contextlib.suppress(RayliftError):
        write_private(path, f"{checksum}\n{body}")
