"""The files of a directory to package, and the problems that prevent it.

For `package` only. This module reads only ignore files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pathspec import GitIgnoreSpec

from raylift.messages import os_reason
from raylift.serve_runtime.packaging import secret_scan
from raylift.serve_runtime.packaging.exclusions import Exclusions
from raylift.serve_runtime.packaging.file_names import (
    shown,
    source_path,
    twins,
    unfit,
    utf8,
)
from raylift.serve_runtime.packaging.gitignore import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ENTRIES = 200_000
"""Maximum of files and directories; a few links can represent billions of paths."""

CONTROL_FILES = {".rayliftignore", ".rayliftallow", ".rayignore"}
"""Files that configure packaging, which the application does not need."""


class File(NamedTuple):
    """A file to package.

    `path` is its path in the package, and `real` its path without links. Both are POSIX
    and relative to the root. `source` is its path on this machine.
    """

    path: str
    real: str
    source: str
    stat: os.stat_result

    @property
    def mode(self) -> int:
        """0755 if the owner may execute the file, otherwise 0644."""
        return 0o755 if self.stat.st_mode & stat.S_IXUSR else 0o644


class Tree(NamedTuple):
    """The result of a walk, sorted by path; a problem or a secret is one line."""

    files: list[File]
    problems: list[str]
    secrets: list[str]


class _Directory(NamedTuple):
    """A directory to walk: its path in the package and its path without links.

    Both end with a slash and are '' for the root. `chain` holds the real paths of the
    directory and of those that lead to it.
    """

    path: str
    real: str
    chain: frozenset[str]

    def enter(self, path: str, real: str) -> _Directory:
        return _Directory(f"{path}/", f"{real}/", self.chain | {f"{real}/"})


class TooManyError(Exception):
    """A tree with more than MAX_ENTRIES entries."""

    def __str__(self) -> str:
        return f"must have at most {MAX_ENTRIES} files and directories"


class Allowed:
    """The files that `.rayliftallow` at the root allows to look like secrets."""

    def __init__(self, root: str) -> None:
        self._lines: list[str] = []
        with contextlib.suppress(OSError):  # an unreadable file allows nothing
            self._lines = read_lines(f"{root}/.rayliftallow")

    def __contains__(self, file: File) -> bool:
        if not self._lines:
            return False
        rules = GitIgnoreSpec.from_lines(self._lines)
        return rules.match_file(file.path) or rules.match_file(file.real)


def walk(root: str, *, leave_out: str, excludes: Iterable[str] = ()) -> Tree:
    """Return the files to package below `root`, except the directory `leave_out`.

    Both are absolute paths without links. `excludes` are patterns relative to the root.

    Raises:
        TooManyError: The tree has more than MAX_ENTRIES entries.
    """
    walked = _Walk(root, leave_out, excludes)
    walked.add_all()
    return Tree(sorted(walked.files), sorted(walked.problems), sorted(walked.secrets))


def suspect(path: str, what: str) -> str:
    """Return the message for a file that may contain a secret."""
    return f"{shown(path)}: may contain a secret: {what}"


class _Walk:
    """A walk through a tree, which collects files, problems and secrets."""

    def __init__(self, root: str, leave_out: str, excludes: Iterable[str]) -> None:
        self.files: list[File] = []
        self.problems: list[str] = []
        self.secrets: list[str] = []
        self._root = root
        self._exclusions = Exclusions(
            root, leave_out=leave_out, excludes=excludes, refuse=self._refuse
        )
        self._allowed = Allowed(root)
        self._todo: list[_Directory] = []
        self._seen = 0

    def add_all(self) -> None:
        """Add everything below the root. Not recursive: trees can be deep."""
        self._todo.append(_Directory("", "", frozenset({""})))
        while self._todo:
            self._add_entries(self._todo.pop())

    def _add_entries(self, directory: _Directory) -> None:
        entries = self._entries(directory)
        rules = self._exclusions.rules_for(directory.real, entries)
        names: list[str] = []
        for entry in entries:
            name = utf8(entry.name)
            if self._exclusions.excludes(entry, directory.real + name, rules):
                continue
            names.append(name)
            if reason := unfit(directory.path + name, name):
                self._refuse(directory.path + name, reason)
            else:
                self._add_entry(entry, name, directory)
        for one, other in twins(names):
            reason = f"differs from {shown(one)} only in case or accents"
            self._refuse(directory.path + other, reason)

    def _entries(self, directory: _Directory) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._source(directory.real)) as scanned:
                entries = list(scanned)
        except OSError as error:
            self._refuse(directory.path or ".", _unreadable(error))
            return []
        self._seen += len(entries)
        if self._seen > MAX_ENTRIES:
            raise TooManyError
        return entries

    def _refuse(self, path: str, reason: str) -> None:
        self.problems.append(f"{shown(path)}: {reason}")

    def _source(self, real: str) -> str:
        return source_path(self._root, real)

    def _add_entry(
        self, entry: os.DirEntry[str], name: str, directory: _Directory
    ) -> None:
        path, real = directory.path + name, directory.real + name
        try:
            if entry.is_symlink():
                self._add_link(entry.path, path, directory)
            else:
                self._add(path, real, entry.stat(follow_symlinks=False), directory)
        except OSError as error:
            self._refuse(path, _unreadable(error))

    def _add(
        self, path: str, real: str, now: os.stat_result, directory: _Directory
    ) -> None:
        """Add a file or a directory; refuse anything else."""
        if stat.S_ISREG(now.st_mode):
            self._add_file(File(path, real, self._source(real), now))
        elif not stat.S_ISDIR(now.st_mode):
            self._refuse(path, "neither a file nor a directory")
        elif f"{real}/" in directory.chain:
            self._refuse(path, "circular link")
        else:
            self._todo.append(directory.enter(path, real))

    def _add_file(self, file: File) -> None:
        if file.path.rpartition("/")[2] in CONTROL_FILES:
            return
        size = file.stat.st_size
        what = secret_scan.by_name(file.path, size)
        if not what and file.real != file.path:
            what = secret_scan.by_name(file.real, size)
        if what and file not in self._allowed:
            self.secrets.append(suspect(file.path, what))
        else:
            self.files.append(file)

    def _add_link(self, link: str, path: str, directory: _Directory) -> None:
        """Add the target of a link, if it is in the tree and not excluded."""
        try:
            target = os.path.realpath(link, strict=True)
        except OSError as error:
            self._refuse(path, _broken(error, link))
            return
        if target != self._root and not target.startswith(f"{self._root}/"):
            self._refuse(path, f"links outside the directory, to {shown(target)}")
            return
        real = utf8(target[len(self._root) + 1 :])
        if self._exclusions.excluded_part(real):
            self._refuse(path, f"links to {shown(real)}, which is not packaged")
        elif real:
            self._add(path, real, os.lstat(target), directory)
        else:
            self._refuse(path, "circular link")


def _broken(error: OSError, link: str) -> str:
    if error.errno == errno.ELOOP:
        return "circular link"
    if error.errno == errno.ENOENT:
        return f"broken link to {shown(str(Path(link).readlink()))}"
    return _unreadable(error)


def _unreadable(error: OSError) -> str:
    return f"cannot be read: {os_reason(error)}"
