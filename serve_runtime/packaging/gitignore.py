"""Ignore rules with the semantics of Git and of Ray; for `exclusions` and `file_tree`.

pathspec translates patterns; this module applies them to each entry, as Git does: the
last pattern that matches an entry wins, the deepest file first, and everything in an
ignored directory stays ignored. `GitIgnoreSpec.match_file` matches whole paths and
ignores a directory that `*` and then `!*/` re-include. A test compares the result with
Git. Rules outside the directory (in its parents or the user's configuration) are not
read, because a package must not depend on where it is built.

`.rayignore` files and `runtime_env.excludes` are matched as Ray matches them: against
the whole path, each file for itself (ray/_private/runtime_env/packaging.py).
"""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING, Any, AnyStr, NamedTuple

from pathspec import PathSpec
from pathspec.patterns.gitignore import GitIgnorePatternError
from pathspec.patterns.gitignore.basic import GitIgnoreBasicPattern
from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

if TYPE_CHECKING:
    from collections.abc import Iterable

_OURS, _GITS, _RAYS = RULE_FILES = (".rayliftignore", ".gitignore", ".rayignore")

_NO_RULES = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR}
"""Errors of opening a missing rule file, a link or a directory; Git skips these."""


_STARS = re.compile(r"\s*!?\\?/?\*\*/(\*\*(/|\s*$)|\s*$)")


class RayPattern(GitIgnoreBasicPattern):
    """A pattern as in the older pathspec in Ray.

    Its `!foo` matches only foo, and its `**/**/foo` and `**/` match nothing.
    """

    @classmethod
    def pattern_to_regex(cls, pattern: AnyStr) -> tuple[AnyStr | None, bool | None]:
        """Return the expression of a pattern, and whether it ignores."""
        if isinstance(pattern, str) and _STARS.match(pattern):
            return None, None
        expression, ignores = super().pattern_to_regex(pattern)
        if isinstance(expression, str) and ignores is False:
            expression = expression.replace("(?:/|$)", "$")
        return expression, ignores


class _Pattern(NamedTuple):
    """A pattern of an ignore file; `ignore` is False for a `!` pattern.

    `open_ended` is true if the expression can match a part of a path (`*`, `foo/**`).
    """

    expression: re.Pattern[str]
    ignore: bool
    only_directories: bool
    open_ended: bool


class _RuleFile(NamedTuple):
    """An ignore file; the first `depth` characters of a path are its directory."""

    depth: int
    patterns: tuple[_Pattern, ...]

    def verdict(self, path: str, *, is_directory: bool) -> bool | None:
        """Return True if ignored, False if re-included, None if no pattern matches."""
        below = path[self.depth :]
        for expression, ignore, only_directories, open_ended in self.patterns:
            if only_directories and not is_directory:
                continue
            hit = expression.search(below)
            # A match that ends early is that of a parent, which is not ignored.
            if hit and (open_ended or hit.end() == len(below)):
                return ignore
        return None


def _verdict(
    files: tuple[_RuleFile, ...], path: str, *, is_directory: bool
) -> bool | None:
    """Return the verdict of the first file with a matching pattern."""
    for rules in files:
        verdict = rules.verdict(path, is_directory=is_directory)
        if verdict is not None:
            return verdict
    return None


class IgnoreRules(NamedTuple):
    """The rules of one directory, deepest file first.

    `ours` contains `.rayliftignore` files, and `gits` `.gitignore` files. `rays`
    contains the length of each directory's path and its patterns for Ray.
    """

    ours: tuple[_RuleFile, ...] = ()
    gits: tuple[_RuleFile, ...] = ()
    rays: tuple[tuple[int, PathSpec[Any]], ...] = ()

    @classmethod
    def of(cls, excludes: Iterable[str]) -> IgnoreRules:
        """Return the rules of `runtime_env.excludes` for the root."""
        return cls(rays=_rays(excludes, 0))

    def ignores(self, path: str, *, is_directory: bool) -> bool:
        """Return whether an entry of this directory is ignored.

        `path` is POSIX and relative to the root, without a trailing slash.
        """
        verdict = _verdict(self.ours, path, is_directory=is_directory)
        if verdict is not None:
            return verdict
        return bool(_verdict(self.gits, path, is_directory=is_directory)) or any(
            spec.match_file(path[depth:]) for depth, spec in self.rays
        )

    def below(self, directory: str, depth: int) -> IgnoreRules:
        """Return these rules with those of `directory`, a path on this machine.

        Raises:
            OSError: A rule file exists and cannot be read.
        """
        ours = _rule_file(f"{directory}/{_OURS}", depth) + self.ours
        gits = _rule_file(f"{directory}/{_GITS}", depth) + self.gits
        rays = _rays(read_lines(f"{directory}/{_RAYS}"), depth) + self.rays
        return IgnoreRules(ours, gits, rays)


def read_lines(path: str) -> list[str]:
    """Return the lines of a rule file, [] if it is not a regular file.

    Raises:
        OSError: The file exists and cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(handle, encoding="utf-8-sig", errors="surrogateescape") as rules:
            return rules.read().split("\n")
    except OSError as error:
        if error.errno in _NO_RULES:
            return []
        raise


def _rays(lines: Iterable[str], depth: int) -> tuple[tuple[int, PathSpec[Any]], ...]:
    patterns = [pattern for line in lines if (pattern := _rays_pattern(line))]
    spec = PathSpec(patterns)
    if spec.match_file("."):  # as `?` does; Ray then skips the whole directory
        spec = PathSpec.from_lines(RayPattern, ["*"])
    return ((depth, spec),) if len(spec) else ()


def _rays_pattern(line: str) -> RayPattern | None:
    """Parse a line for Ray; return None for comments and invalid patterns."""
    if line.strip().removeprefix("!") == "/":
        return None
    try:
        return RayPattern(line)
    except GitIgnorePatternError:
        return None


def _rule_file(path: str, depth: int) -> tuple[_RuleFile, ...]:
    patterns = [found for line in read_lines(path) if (found := _pattern(line))]
    return (_RuleFile(depth, tuple(reversed(patterns))),) if patterns else ()


def _pattern(line: str) -> _Pattern | None:
    """Parse a line of a rule file; return None for comments and invalid patterns."""
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
