"""A directory → a deterministic zip, content-addressed, nothing leaked.

The zip becomes Ray's `runtime_env.working_dir`, as `file:///…/raylift_<hash>.zip`. Ray
never fetches a URI twice, so the name is the content's: the SHA-256 of all paths, modes
and contents. It is taken from the very bytes that go into the zip. Nothing is
compressed (Ray's own packager does not either): it costs more time than it saves on
one machine, and the bytes would depend on the version of zlib.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
import time
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raylift.errors import Denied, InputFailed, Problem, RayliftError
from raylift.files import make_private_dir
from serve_runtime import package_index, package_tree, secrets_found
from serve_runtime.package_index import Index, Known
from serve_runtime.package_tree import Allowed, TooManyError, Tree, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serve_runtime.package_tree import File

MAX_BYTES = 500_000_000
"""Uncompressed. Ray stores no package of 512 MiB or more in its GCS
(ray/_private/runtime_env/packaging.py, GCS_STORAGE_MAX_SIZE); for a `file://` or
`s3://` URI it has no limit of its own, and every node unpacks what it gets."""

MARKER = ".raylift-package"
"""Ray drops the only top-level directory of a package that it fetched from a URI
(packaging.py, get_top_level_dir_from_compressed_package). A file beside it keeps it."""

_FORMAT = b"raylift package 1\n"  # counts what the hash does not see: how we zip
_CHUNK = 1024 * 1024
_SUSPECT_HINT = "delete it, add it to .rayliftignore, or allow it in .rayliftallow"
_HINT = "mend it, or add it to .rayliftignore"
_CHANGED = "changed while it was packed; try again when nothing writes to it"
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Package:
    """A zip in the store; `size` in bytes, `files` as counted in the directory.

    `built` is False where the zip was there already.
    """

    name: str
    path: Path
    size: int
    files: int
    built: bool


def pack(directory: Path, *, store: Path, place: str) -> Package:
    """The package of a directory, made unless `store` holds it.

    `place` says where the directory was given, for messages. Links within the
    directory are followed. Empty directories are left out, as git does.

    Raises:
        InputFailed: it must not be packed; every reason is listed.
        Denied, RayliftError: the store cannot be written.
    """
    began_ns = time.time_ns()  # before the first look at a file
    root = _root(directory, place)
    make_private_dir(store)
    tree = _tree(root, store, place)
    index = store / _index_name(root)
    known = _known(tree, package_index.load(index))
    if package := known and _stored(tree, known, store):
        _refuse(place, tree.problems, _secrets(root, tree, known or {}))
        return package
    with _temporary(store) as file:
        known, unread = _write(tree, file)
        _refuse(place, tree.problems + unread, _secrets(root, tree, known))
        package_index.save(index, _index(tree, known, began_ns))
        return _stored(tree, known, store) or _moved(file, tree, known, store)


def _root(directory: Path, place: str) -> str:
    """The directory's path without links."""
    name = shown(str(directory))
    try:
        root = directory.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # missing, links in a circle, a NUL
        raise InputFailed.at(place, f"{name}: no such directory") from None
    if not root.is_dir():
        raise InputFailed.at(place, f"{name}: not a directory")
    return str(root).rstrip("/")


def _tree(root: str, store: Path, place: str) -> Tree:
    """What to pack, with its problems; an empty and a too large one end here."""
    try:
        tree = package_tree.walk(root, leave_out=str(store.resolve()))
    except TooManyError as error:
        raise InputFailed.at(place, f"{error}", hint=_HINT) from None
    size = sum(file.stat.st_size for file in tree.files)
    if size > MAX_BYTES:
        _refuse(place, [_too_large(tree, size), *tree.problems], tree.secrets)
    if not (tree.files or tree.problems or tree.secrets):
        raise InputFailed.at(place, "nothing to pack: no file that is not ignored")
    return tree


def _too_large(tree: Tree, size: int) -> str:
    largest = max(tree.files, key=lambda file: file.stat.st_size)
    return (
        f"{size / 1e6:.1f} MB, more than {MAX_BYTES / 1e6:.0f} MB: the largest of"
        f" {len(tree.files)} files is {shown(largest.path)}"
        f" ({largest.stat.st_size / 1e6:.1f} MB)"
    )


def _refuse(place: str, problems: list[str], secrets: list[str]) -> None:
    """Raise if there is anything to raise for."""
    if problems or secrets:
        found = [Problem(place, text) for text in problems + secrets]
        raise InputFailed(*found, hint=_SUSPECT_HINT if secrets else _HINT)


def _secrets(root: str, tree: Tree, known: dict[str, Known]) -> list[str]:
    """What names and contents gave away and `.rayliftallow` does not name."""
    told = {path: entry.secret for path, entry in known.items() if entry.secret}
    allowed = Allowed(root)
    in_text = [
        package_tree.suspect(file.path, told[file.path])
        for file in tree.files
        if file.path in told and file not in allowed
    ]
    return sorted(tree.secrets + in_text)


# The name of the content, and the zip that bears it.


def _name(tree: Tree, known: dict[str, Known]) -> str:
    """The package's name, by nothing but paths, modes and contents."""
    content = hashlib.sha256(_FORMAT)
    for file in tree.files:
        line = f"{file.path}\0{file.mode:o}\0{known[file.path].digest}\n"
        content.update(line.encode())
    return f"raylift_{content.hexdigest()[:32]}.zip"


def _stored(tree: Tree, known: dict[str, Known], store: Path) -> Package | None:
    """The package of this content, if the store holds it whole."""
    path = store / _name(tree, known)
    size = _zip_size(tree)
    if not path.is_file() or path.stat().st_size != size:
        return None
    return Package(path.name, path, size, len(tree.files), built=False)


def _zip_size(tree: Tree) -> int:
    """Bytes of the zip: each file has two headers (30 and 46) with its path in both."""
    members = [(file.path, file.stat.st_size) for file in tree.files]
    if _needs_marker(tree):
        members.append((MARKER, 0))
    size = sum(76 + 2 * len(path.encode()) + length for path, length in members)
    is_zip64 = len(members) > zipfile.ZIP_FILECOUNT_LIMIT
    return size + 22 + (76 if is_zip64 else 0)  # the records at the end


def _needs_marker(tree: Tree) -> bool:
    return all("/" in file.path for file in tree.files)


def _moved(zipped: Path, tree: Tree, known: dict[str, Known], store: Path) -> Package:
    """The new zip under its name, in one step."""
    path = store / _name(tree, known)
    with _store_errors(store):
        zipped.replace(path)
        size = path.stat().st_size
    return Package(path.name, path, size, len(tree.files), built=True)


# What was known of the files.


def _index_name(root: str) -> str:
    return f"index-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"


def _known(tree: Tree, index: Index) -> dict[str, Known] | None:
    """What the index knows of the files, by path in the package; None if not all."""
    known: dict[str, Known] = {}
    for file in tree.files:
        entry = index.get(file.real, file.stat)
        if entry is None:
            return None
        known[file.path] = entry
    return known


def _index(tree: Tree, known: dict[str, Known], began_ns: int) -> Index:
    return Index(began_ns, {file.real: known[file.path] for file in tree.files})


# Reading and writing: every file is read once, into the hash, the search for secrets
# and the zip, so that all three are of the same bytes.


class _UnreadError(Exception):
    """A file could not be read as it was seen."""


@contextlib.contextmanager
def _temporary(store: Path) -> Iterator[Path]:
    """A new empty file in the store, mode 0600, gone afterwards unless renamed."""
    with _store_errors(store):
        handle, name = tempfile.mkstemp(dir=store, prefix=".", suffix=".part")
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _store_errors(store: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        kind = Denied if isinstance(error, PermissionError) else RayliftError
        why = (error.strerror or str(error)).lower()
        raise kind(f"{store}: cannot be written: {why}") from None


def _write(tree: Tree, path: Path) -> tuple[dict[str, Known], list[str]]:
    """Zip the files: what is known of each now, and why some could not be read."""
    known: dict[str, Known] = {}
    unread: list[str] = []
    with _store_errors(path.parent), path.open("wb") as stream:
        with zipfile.ZipFile(stream, "w") as archive:
            if _needs_marker(tree):
                archive.writestr(_member(MARKER, 0o644), b"")
            for file in tree.files:
                try:
                    known[file.path] = _add(archive, file)
                except _UnreadError as error:
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
        _UnreadError: it cannot be read, or is no longer the file that was seen.
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
            while chunk := os.read(handle, min(_CHUNK, file.stat.st_size + 1)):
                yield chunk
            _must_be(file, os.fstat(handle))
        finally:
            os.close(handle)
    except PermissionError:
        raise _UnreadError("cannot be read: permission denied") from None
    except OSError:
        raise _UnreadError(_CHANGED) from None


def _must_be(file: File, now: os.stat_result) -> None:
    seen = file.stat
    is_same = (now.st_dev, now.st_mode) == (seen.st_dev, seen.st_mode)
    if not is_same or package_index.stamp(now) != package_index.stamp(seen):
        raise _UnreadError(_CHANGED)
