"""Packaging of a directory as a deterministic, content-addressed zip.

The zip becomes Ray's `runtime_env.working_dir`, as `file:///…/raylift_<hash>.zip`. Ray
never fetches a URI twice, so the hash covers all paths, modes and contents. To skip
unchanged files, an index next to the zips records the stat and hash of each file.
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

from raylift.errors import InvalidInput, PermissionDenied, Problem, RayliftError
from raylift.messages import os_reason
from raylift.serve_runtime.packaging import file_tree, stat_cache, zip_archive
from raylift.serve_runtime.packaging.file_names import shown
from raylift.serve_runtime.packaging.file_tree import Allowed, TooManyError, Tree
from raylift.serve_runtime.packaging.stat_cache import Index, Known
from raylift.state_files import make_private_dir

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAX_BYTES = 500_000_000
"""Uncompressed size. Ray rejects packages of 512 MiB and more in its GCS
(ray/_private/runtime_env/packaging.py, GCS_STORAGE_MAX_SIZE). It has no limit for
`file://` and `s3://` URIs, and every node unpacks the package."""

# Increase it if the zip format changes, which the hash of the files does not cover.
_FORMAT = b"raylift package 1\n"
_SUSPECT_HINT = "delete it, add it to .rayliftignore, or allow it in .rayliftallow"
_HINT = "fix or remove the files, or add them to .rayliftignore"


@dataclass(frozen=True, slots=True)
class Package:
    """A zip in the store; `size` is in bytes, `files` the number of files.

    `built` is false if the store already had the zip.
    """

    name: str
    path: Path
    size: int
    files: int
    built: bool


def pack(
    directory: Path, *, store: Path, location: str, excludes: Sequence[str] = ()
) -> Package:
    """Package a directory, unless `store` already has the package.

    `excludes` are the patterns of `runtime_env.excludes`, relative to the directory.
    `location` names the source of the directory in messages. Links within the directory
    are followed. Empty directories are excluded, as in Git.

    Raises:
        InvalidInput: The directory cannot be packaged; contains all problems.
        PermissionDenied, RayliftError: The store cannot be written.
    """
    began_ns = time.time_ns()  # before any stat of a file
    root = _root(directory, location)
    tree = _tree(root, store, location, excludes)
    index = store / _index_name(root)
    known = _known(tree, stat_cache.load(index))
    if package := known and _stored(tree, known, store):
        _refuse(location, tree.problems, _secrets(root, tree, known or {}))
        return package
    with _temporary(make_private_dir(store)) as file:
        with _store_errors(store):
            known, unread = zip_archive.write(tree, file)
        _refuse(location, tree.problems + unread, _secrets(root, tree, known))
        stat_cache.save(index, _index(tree, known, began_ns))
        return _stored(tree, known, store) or _moved(file, tree, known, store)


def _root(directory: Path, location: str) -> str:
    """Return the path of the directory without links."""
    name = shown(str(directory))
    try:
        root = directory.resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # missing, circular links, a NUL
        raise InvalidInput.at(location, f"{name}: no such directory") from None
    if not root.is_dir():
        raise InvalidInput.at(location, f"{name}: not a directory")
    return str(root).rstrip("/")


def _tree(root: str, store: Path, location: str, excludes: Sequence[str]) -> Tree:
    """Walk the directory; raise InvalidInput if it is empty or too large."""
    try:
        tree = file_tree.walk(root, leave_out=str(store.resolve()), excludes=excludes)
    except TooManyError as error:
        raise InvalidInput.at(location, f"{error}", hint=_HINT) from None
    size = sum(file.stat.st_size for file in tree.files)
    if size > MAX_BYTES:
        _refuse(location, [_too_large(tree, size), *tree.problems], tree.secrets)
    if not (tree.files or tree.problems or tree.secrets):
        raise InvalidInput.at(
            location,
            "nothing to package: the directory is empty or all files are ignored",
        )
    return tree


def _too_large(tree: Tree, size: int) -> str:
    largest = max(tree.files, key=lambda file: file.stat.st_size)
    return (
        f"must be at most {MAX_BYTES / 1e6:.0f} MB, not {size / 1e6:.1f} MB; the"
        f" largest of {len(tree.files)} files is {shown(largest.path)}"
        f" ({largest.stat.st_size / 1e6:.1f} MB)"
    )


def _refuse(location: str, problems: list[str], secrets: list[str]) -> None:
    """Raise InvalidInput if there are problems or secrets."""
    if problems or secrets:
        lines = [Problem(location, text) for text in problems + secrets]
        raise InvalidInput(*lines, hint=_SUSPECT_HINT if secrets else _HINT)


def _secrets(root: str, tree: Tree, known: dict[str, Known]) -> list[str]:
    """Return the secrets in names and contents that `.rayliftallow` does not allow."""
    secrets = {path: entry.secret for path, entry in known.items() if entry.secret}
    allowed = Allowed(root)
    in_text = [
        file_tree.suspect(file.path, secrets[file.path])
        for file in tree.files
        if file.path in secrets and file not in allowed
    ]
    return sorted(tree.secrets + in_text)


# The zip and its name.


def _name(tree: Tree, known: dict[str, Known]) -> str:
    """Return the package's name, which depends only on paths, modes and contents."""
    content = hashlib.sha256(_FORMAT)
    for file in tree.files:
        line = f"{file.path}\0{file.mode:o}\0{known[file.path].digest}\n"
        content.update(line.encode())
    return f"raylift_{content.hexdigest()[:32]}.zip"


def _stored(tree: Tree, known: dict[str, Known], store: Path) -> Package | None:
    """Return the package with this content, if the store has it in full."""
    path = store / _name(tree, known)
    size = zip_archive.size(tree)
    if not path.is_file() or path.stat().st_size != size:
        return None
    return Package(path.name, path, size, len(tree.files), built=False)


def _moved(zipped: Path, tree: Tree, known: dict[str, Known], store: Path) -> Package:
    """Move a new zip to its name atomically."""
    path = store / _name(tree, known)
    with _store_errors(store):
        zipped.replace(path)
        size = path.stat().st_size
    return Package(path.name, path, size, len(tree.files), built=True)


# The index of known files.


def _index_name(root: str) -> str:
    return f"index-{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"


def _known(tree: Tree, index: Index) -> dict[str, Known] | None:
    """Return the index entries by path in the package, or None if any is missing."""
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
    """Yield a new empty file with mode 0600, deleted afterwards unless renamed."""
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
        kind = PermissionDenied if isinstance(error, PermissionError) else RayliftError
        why = os_reason(error)
        raise kind(f"{store}: cannot be written: {why}") from None
