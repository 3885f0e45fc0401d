"""Which files a directory leaves out, as git decides it; for `tree` only.

pathspec translates a pattern; the walk here decides like git, entry by entry: the last
pattern that matches an entry itself wins, the deepest file first, and what lies in an
ignored directory stays ignored. (`GitIgnoreSpec.match_file` answers for whole paths,
and takes a directory that `*` and then `!*/` let in for ignored.) Held equal to
`git check-ignore` by a test. Not read: rules outside of the directory (the parents',
the user's own), because a package must not depend on where it was made.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, NamedTuple

from pathspec.patterns.gitignore import GitIgnorePatternError
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

if TYPE_CHECKING:
    import re

_OURS, _GITS = RULE_FILES = (".rayliftignore", ".gitignore")

_NO_RULES = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR}
"""What opening a missing rule file, a link or a directory says; git reads neither."""


class _Pattern(NamedTuple):
    """`ignore` is False for a `!` pattern.

    `open_ended`: the expression ends before the path does (`*`, `foo/**`).
    """

    expression: re.Pattern[str]
    ignore: bool
    only_directories: bool
    open_ended: bool


class _RuleFile(NamedTuple):
    """One ignore file: `depth` characters of a path lead to its directory."""

    depth: int
    patterns: tuple[_Pattern, ...]

    def verdict(self, path: str, *, is_directory: bool) -> bool | None:
        """True: ignored, False: let in, None: nothing said."""
        below = path[self.depth :]
        for expression, ignore, only_directories, open_ended in self.patterns:
            if only_directories and not is_directory:
                continue
            hit = expression.search(below)
            # A match that ends early is of a parent, and that one is not ignored.
            if hit and (open_ended or hit.end() == len(below)):
                return ignore
        return None


class IgnoreRules(NamedTuple):
    """The rules that hold in one directory: deepest file first.

    `in_turn` is ours before git's: the first that says something decides.
    """

    ours: tuple[_RuleFile, ...] = ()
    gits: tuple[_RuleFile, ...] = ()
    in_turn: tuple[_RuleFile, ...] = ()

    def ignores(self, path: str, *, is_directory: bool) -> bool:
        """Whether an entry of this directory is left out.

        `path` is POSIX, relative to the root, without a slash at its end.
        """
        for rules in self.in_turn:
            verdict = rules.verdict(path, is_directory=is_directory)
            if verdict is not None:
                return verdict
        return False

    def below(self, directory: str, depth: int) -> IgnoreRules:
        """These rules and those of the files in `directory`, a path on this machine.

        Raises:
            OSError: a rule file is there and cannot be read.
        """
        ours = _rule_file(f"{directory}/{_OURS}", depth) + self.ours
        gits = _rule_file(f"{directory}/{_GITS}", depth) + self.gits
        return IgnoreRules(ours, gits, ours + gits)


def read_lines(path: str) -> list[str]:
    """The lines of a rule file; none where there is no such regular file.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, encoding="utf-8-sig", errors="surrogateescape") as rules:
            return rules.read().split("\n")
    except OSError as error:
        if error.errno in _NO_RULES:
            return []
        raise


def _rule_file(path: str, depth: int) -> tuple[_RuleFile, ...]:
    patterns = [found for line in read_lines(path) if (found := _pattern(line))]
    return (_RuleFile(depth, tuple(reversed(patterns))),) if patterns else ()


def _pattern(line: str) -> _Pattern | None:
    """One line of a rule file; None for a comment and for what git drops."""
    text = line if line.endswith("\\ ") else line.rstrip()
    only_directories = text.endswith("/")
    text = text.removesuffix("/")
    try:
        parsed = GitIgnoreSpecPattern(text)
    except GitIgnorePatternError:
        return None
    if parsed.include is None or parsed.regex is None:
        return None
    expression = parsed.regex
    open_ended = not expression.pattern.endswith("$)")
    return _Pattern(expression, parsed.include, only_directories, open_ended)
