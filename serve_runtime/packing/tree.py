"""Which files of a directory a package holds, and what forbids to pack it.

For `package` only. No file's content is read here but that of the ignore files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pathspec import GitIgnoreSpec

from serve_runtime.packing import secrets_found
from serve_runtime.packing.ignore_rules import RULE_FILES, IgnoreRules, read_lines
from serve_runtime.packing.names import native, shown, twins, unfit, utf8

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ENTRIES = 200_000
"""Files and directories; a few links can stand for billions of paths."""

OURS = {".rayliftignore", ".rayliftallow"}
"""They tell us what to pack and the application nothing: never packed."""

_NEVER = {
    ".git",
    ".hg",
    ".svn",
    ".raylift",
    "__pycache__",
    ".venv",
    "venv",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
    ".import_linter_cache",
    ".ipynb_checkpoints",
    ".tox",
    ".nox",
}
_NEVER_FILES = {".git", ".DS_Store"}  # a work tree's .git is a file


class File(NamedTuple):
    """A file to pack.

    `path` is its name in the package, `real` where it lies below the root without
    links (both POSIX, relative), `source` the same on this machine.
    """

    path: str
    real: str
    source: str
    stat: os.stat_result

    @property
    def mode(self) -> int:
        """0755 for what its owner may execute, otherwise 0644."""
        return 0o755 if self.stat.st_mode & stat.S_IXUSR else 0o644


class Tree(NamedTuple):
    """What was found, sorted by path; `problems` and `secrets` are one line each."""

    files: list[File]
    problems: list[str]
    secrets: list[str]


class _Spot(NamedTuple):
    """A directory on the way: its path in the package and its real path, with a slash.

    Both are '' for the root. `chain` holds the real paths of those above and its own.
    """

    path: str
    real: str
    chain: frozenset[str]

    def enter(self, path: str, real: str) -> _Spot:
        return _Spot(f"{path}/", f"{real}/", self.chain | {f"{real}/"})


class TooManyError(Exception):
    """The tree does not end, or nearly so."""

    def __str__(self) -> str:
        return f"more than {MAX_ENTRIES} files and directories"


class Allowed:
    """What `.rayliftallow` at the root lets through."""

    def __init__(self, root: str) -> None:
        self._lines: list[str] = []
        with contextlib.suppress(OSError):  # what cannot be read allows nothing
            self._lines = read_lines(f"{root}/.rayliftallow")

    def __contains__(self, file: File) -> bool:
        if not self._lines:
            return False
        rules = GitIgnoreSpec.from_lines(self._lines)
        return rules.match_file(file.path) or rules.match_file(file.real)


def walk(root: str, *, leave_out: str) -> Tree:
    """Every file to pack below `root`, without the directory `leave_out`.

    Both are absolute paths without links.

    Raises:
        TooManyError: more than MAX_ENTRIES.
    """
    found = _Walk(root, leave_out)
    found.all_below(_Spot("", "", frozenset({""})))
    return Tree(sorted(found.files), sorted(found.problems), sorted(found.secrets))


def suspect(path: str, what: str) -> str:
    """The line for a file that looks like a secret."""
    return f"{shown(path)}: looks like a secret: {what}"


class _Walk:
    """One walk: decides on every entry, and collects."""

    def __init__(self, root: str, leave_out: str) -> None:
        self.files: list[File] = []
        self.problems: list[str] = []
        self.secrets: list[str] = []
        self._root = root
        self._leave_out = leave_out
        self._allowed = Allowed(root)
        self._rules: dict[str, IgnoreRules] = {}
        self._todo: list[_Spot] = []
        self._seen = 0

    def all_below(self, spot: _Spot) -> None:
        """Take a directory and all that is below; as deep as a path can be."""
        self._todo.append(spot)
        while self._todo:
            self._directory(self._todo.pop())

    def _directory(self, spot: _Spot) -> None:
        entries = self._entries(spot)
        if not any(entry.name in RULE_FILES for entry in entries):
            # Spares opening two files that are not there, in every directory.
            self._rules.setdefault(spot.real, self._rules_above(spot.real))
        rules = self._rules_in(spot.real)
        names: list[str] = []
        for entry in entries:
            name = utf8(entry.name)
            if self._is_left_out(entry, spot.real + name, rules):
                continue
            names.append(name)
            if why := unfit(spot.path + name, name):
                self._refuse(spot.path + name, why)
            else:
                self._take(entry, name, spot)
        for one, other in twins(names):
            why = f"differs from {shown(one)} in nothing but case or accents"
            self._refuse(spot.path + other, why)

    def _entries(self, spot: _Spot) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._source(spot.real)) as found:
                entries = list(found)
        except OSError as error:
            self._refuse(spot.path or ".", f"cannot be read: {_reason(error)}")
            return []
        self._seen += len(entries)
        if self._seen > MAX_ENTRIES:
            raise TooManyError
        return entries

    def _refuse(self, path: str, why: str) -> None:
        self.problems.append(f"{shown(path)}: {why}")

    def _source(self, real: str) -> str:
        return f"{self._root}/{native(real)}"

    # Which entries count.

    def _is_left_out(
        self, entry: os.DirEntry[str], real: str, rules: IgnoreRules
    ) -> bool:
        is_directory = entry.is_dir(follow_symlinks=False)
        is_file = entry.is_file(follow_symlinks=False)
        if _is_never_packed(entry.name, is_file=is_file):
            return True
        if is_directory and entry.path == self._leave_out:
            return True
        return rules.ignores(real, is_directory=is_directory)

    def _rules_in(self, real: str) -> IgnoreRules:
        """The rules for the entries of a directory, its real path with a slash."""
        if real not in self._rules:
            self._rules[real] = self._read_rules(self._rules_above(real), real)
        return self._rules[real]

    def _rules_above(self, real: str) -> IgnoreRules:
        return self._rules_in(_parent(real)) if real else IgnoreRules()

    def _read_rules(self, above: IgnoreRules, real: str) -> IgnoreRules:
        try:
            return above.below(self._source(real).rstrip("/"), len(real))
        except OSError as error:
            self._refuse(real or ".", f"ignore file cannot be read: {_reason(error)}")
            return above

    # What an entry is.

    def _take(self, entry: os.DirEntry[str], name: str, spot: _Spot) -> None:
        path, real = spot.path + name, spot.real + name
        try:
            if entry.is_symlink():
                self._link(entry.path, path, spot)
            else:
                self._thing(path, real, entry.stat(follow_symlinks=False), spot)
        except OSError as error:
            self._refuse(path, f"cannot be read: {_reason(error)}")

    def _thing(self, path: str, real: str, now: os.stat_result, spot: _Spot) -> None:
        """Take what is no link: a file, a directory or neither."""
        if stat.S_ISREG(now.st_mode):
            self._file(File(path, real, self._source(real), now))
        elif not stat.S_ISDIR(now.st_mode):
            self._refuse(path, "neither a file nor a directory")
        elif f"{real}/" in spot.chain:
            self._refuse(path, "links in a circle")
        else:
            self._todo.append(spot.enter(path, real))

    def _file(self, file: File) -> None:
        if file.path.rpartition("/")[2] in OURS:
            return
        size = file.stat.st_size
        what = secrets_found.by_name(file.path, size)
        if not what and file.real != file.path:
            what = secrets_found.by_name(file.real, size)
        if what and file not in self._allowed:
            self.secrets.append(suspect(file.path, what))
        else:
            self.files.append(file)

    # Links.

    def _link(self, link: str, path: str, spot: _Spot) -> None:
        """Take what a link leads to, if that lies in the tree and is packed itself."""
        try:
            target = os.path.realpath(link, strict=True)
        except OSError as error:
            self._refuse(path, _broken(error, link))
            return
        if target != self._root and not target.startswith(f"{self._root}/"):
            self._refuse(path, f"links out of the directory, to {shown(target)}")
            return
        real = utf8(target[len(self._root) + 1 :])
        if self._is_anywhere_left_out(real):
            self._refuse(path, f"links to {shown(real)}, which is not packed")
        elif real:
            self._thing(path, real, os.lstat(target), spot)
        else:
            self._refuse(path, "links in a circle")

    def _is_anywhere_left_out(self, real: str) -> bool:
        return any(self._is_real_left_out(part) for part in _from_the_top(real))

    def _is_real_left_out(self, real: str) -> bool:
        source = self._source(real)
        mode = os.lstat(source).st_mode
        rules = self._rules_in(_parent(real))
        return (
            _is_never_packed(real.rpartition("/")[2], is_file=stat.S_ISREG(mode))
            or source == self._leave_out
            or rules.ignores(real, is_directory=stat.S_ISDIR(mode))
        )


def _is_never_packed(name: str, *, is_file: bool) -> bool:
    if is_file:
        return name in _NEVER_FILES or name.endswith((".pyc", ".pyo"))
    return name in _NEVER


def _parent(real: str) -> str:
    """The directory that holds a real path, with a slash; '' for the root."""
    head, slash, _ = real.rstrip("/").rpartition("/")
    return head + slash


def _from_the_top(real: str) -> Iterable[str]:
    """'a/b/c' → 'a', 'a/b', 'a/b/c'."""
    parts = real.split("/") if real else []
    return ("/".join(parts[: end + 1]) for end in range(len(parts)))


def _broken(error: OSError, link: str) -> str:
    if error.errno == errno.ELOOP:
        return "links in a circle"
    if error.errno == errno.ENOENT:
        return f"links to nothing, {shown(str(Path(link).readlink()))}"
    return f"cannot be read: {_reason(error)}"


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
