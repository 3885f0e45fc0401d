"""A directory → a deterministic zip, content-addressed, nothing leaked.

The zip becomes Ray's `runtime_env.working_dir`, as `file:///…/raylift_<hash>.zip`. Ray
never fetches a URI twice, so the name is the content's: the SHA-256 of all paths, modes
and contents. An index beside the zips tells what has not changed since.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raylift.errors import Denied, InputFailed, Problem, RayliftError
from raylift.files import make_private_dir
from serve_runtime.packing import index as package_index
from serve_runtime.packing import tree as package_tree
from serve_runtime.packing import zip_file
from serve_runtime.packing.index import Index, Known
from serve_runtime.packing.names import shown
from serve_runtime.packing.tree import Allowed, TooManyError, Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 500_000_000
"""Uncompressed. Ray stores no package of 512 MiB or more in its GCS
(ray/_private/runtime_env/packaging.py, GCS_STORAGE_MAX_SIZE); for a `file://` or
`s3://` URI it has no limit of its own, and every node unpacks what it gets."""

_FORMAT = b"raylift package 1\n"  # counts what the hash does not see: how we zip
_SUSPECT_HINT = "delete it, add it to .rayliftignore, or allow it in .rayliftallow"
_HINT = "mend it, or add it to .rayliftignore"


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
    tree = _tree(root, store, place)
    index = store / _index_name(root)
    known = _known(tree, package_index.load(index))
    if package := known and _stored(tree, known, store):
        _refuse(place, tree.problems, _secrets(root, tree, known or {}))
        return package
    with _temporary(make_private_dir(store)) as file:
        with _store_errors(store):
            known, unread = zip_file.write(tree, file)
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
    size = zip_file.size(tree)
    if not path.is_file() or path.stat().st_size != size:
        return None
    return Package(path.name, path, size, len(tree.files), built=False)


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


# The store.


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
