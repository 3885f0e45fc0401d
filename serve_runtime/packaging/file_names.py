"""File names in a package: UTF-8, valid on all systems, printable in one line.

For this package only.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata

# Names are UTF-8 under any locale. Otherwise, the package name of a tree would differ
# between machines.
_IS_UTF8 = sys.getfilesystemencoding() == "utf-8"

# Control characters and line separators could forge messages. Lone surrogates represent
# bytes that are not UTF-8.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\\\\]")


def utf8(name: str) -> str:
    """Return a name of Python's `os` as UTF-8, with surrogates for other bytes."""
    return name if _IS_UTF8 else os.fsencode(name).decode("utf-8", "surrogateescape")


def native(name: str) -> str:
    """Return a name from `utf8` in the encoding of Python's `os`."""
    return name if _IS_UTF8 else os.fsdecode(name.encode("utf-8", "surrogateescape"))


def source_path(root: str, path: str) -> str:
    """Return the path on this machine of a UTF-8 path below `root`."""
    return f"{root}/{native(path)}"


def unfit(path: str, name: str) -> str:
    """Return why a path with this file name cannot be packaged, or "".

    Ray silently skips names with a backslash or a Windows drive
    (ray/_private/runtime_env/packaging.py, unzip_package).
    """
    if _UNFIT.search(name):
        return "its name must be UTF-8 without control characters or backslashes"
    if path[1:2] == ":":
        return "Ray reads its name as a Windows drive"
    return ""


def twins(names: list[str]) -> list[tuple[str, str]]:
    """Return pairs of names that are equal on macOS and Windows."""
    if len({_folded(name) for name in names}) == len(names):
        return []
    first: dict[str, str] = {}
    ordered = sorted(names)
    pairs = [(first.setdefault(_folded(name), name), name) for name in ordered]
    return [(one, other) for one, other in pairs if one != other]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def shown(name: str) -> str:
    """Return a name as one line of printable text."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
