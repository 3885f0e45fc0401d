"""The entries of a directory tree that a package excludes; for `file_tree` only."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from raylift.messages import os_reason
from raylift.serve_runtime.packaging.file_names import source_path
from raylift.serve_runtime.packaging.gitignore import RULE_FILES, IgnoreRules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_DIRECTORIES = {
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
_FILES = {".git", ".DS_Store"}  # .git is a file in a Git worktree


class Exclusions:
    """The exclusions of a tree: a fixed list, ignore files and one directory.

    Args:
        root: Absolute path of the tree.
        leave_out: Absolute path of the directory to exclude.
        excludes: The patterns of `runtime_env.excludes`.
        refuse: Called with a path and a reason for an ignore file that cannot be read.
    """

    def __init__(
        self,
        root: str,
        *,
        leave_out: str,
        excludes: Iterable[str],
        refuse: Callable[[str, str], None],
    ) -> None:
        self._root = root
        self._leave_out = leave_out
        self._refuse = refuse
        self._base = IgnoreRules.of(excludes)
        self._rules: dict[str, IgnoreRules] = {}

    def rules_for(
        self, directory: str, entries: Iterable[os.DirEntry[str]]
    ) -> IgnoreRules:
        """Return the rules for the entries of a directory, a path with a slash."""
        if not any(entry.name in RULE_FILES for entry in entries):
            # Avoids two failing `open` calls per directory.
            self._rules.setdefault(directory, self._inherited(directory))
        return self._rules_in(directory)

    def excludes(self, entry: os.DirEntry[str], path: str, rules: IgnoreRules) -> bool:
        """Return whether an entry at this path is excluded."""
        is_directory = entry.is_dir(follow_symlinks=False)
        is_file = entry.is_file(follow_symlinks=False)
        if _is_never_packed(entry.name, is_file=is_file):
            return True
        if is_directory and entry.path == self._leave_out:
            return True
        return rules.ignores(path, is_directory=is_directory)

    def excluded_part(self, path: str) -> str:
        """Return the path or its first parent that is excluded, "" if none is.

        A directory has a trailing slash.
        """
        for part in _with_parents(path):
            if self._excludes_one(part):
                return part if part == path else f"{part}/"
        return ""

    def _excludes_one(self, path: str) -> bool:
        source = source_path(self._root, path)
        mode = os.lstat(source).st_mode
        rules = self._rules_in(_parent(path))
        return (
            _is_never_packed(path.rpartition("/")[2], is_file=stat.S_ISREG(mode))
            or source == self._leave_out
            or rules.ignores(path, is_directory=stat.S_ISDIR(mode))
        )

    def _rules_in(self, directory: str) -> IgnoreRules:
        if directory not in self._rules:
            self._rules[directory] = self._read(directory)
        return self._rules[directory]

    def _inherited(self, directory: str) -> IgnoreRules:
        return self._rules_in(_parent(directory)) if directory else self._base

    def _read(self, directory: str) -> IgnoreRules:
        inherited = self._inherited(directory)
        source = source_path(self._root, directory).rstrip("/")
        try:
            return inherited.below(source, len(directory))
        except OSError as error:
            reason = os_reason(error)
            self._refuse(directory or ".", f"ignore file cannot be read: {reason}")
            return inherited


def _is_never_packed(name: str, *, is_file: bool) -> bool:
    if is_file:
        return name in _FILES or name.endswith((".pyc", ".pyo"))
    return name in _DIRECTORIES


def _parent(path: str) -> str:
    """Return the parent directory with a slash, or "" for the root."""
    head, slash, _ = path.rstrip("/").rpartition("/")
    return head + slash


def _with_parents(path: str) -> Iterator[str]:
    """Yield 'a', 'a/b' and 'a/b/c' for 'a/b/c'."""
    parts = path.split("/") if path else []
    return ("/".join(parts[: end + 1]) for end in range(len(parts)))
