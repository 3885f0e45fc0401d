"""Names of files in a package: always UTF-8, fit for every system, shown in one line.

For `tree` and `pack` only.
"""

from __future__ import annotations

import os
import re
import sys
import unicodedata

# Paths are UTF-8 here, under every locale: elsewhere two machines would give one tree
# two names.
_IS_UTF8 = sys.getfilesystemencoding() == "utf-8"

# Control characters and what splits lines would forge our messages; what is not UTF-8
# comes as lone surrogates.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\\\\]")


def utf8(name: str) -> str:
    """A name of Python's os functions as UTF-8; what is not becomes lone surrogates."""
    return name if _IS_UTF8 else os.fsencode(name).decode("utf-8", "surrogateescape")


def native(name: str) -> str:
    """The way back from `utf8`."""
    return name if _IS_UTF8 else os.fsdecode(name.encode("utf-8", "surrogateescape"))


def unfit(path: str, name: str) -> str:
    """Why a path with this last name cannot be in a package, or ''.

    Ray unpacks neither a backslash nor what Windows takes for a drive, and says nothing
    (ray/_private/runtime_env/packaging.py, unzip_package).
    """
    if _UNFIT.search(name):
        return "its name is not UTF-8, or has a control character or a backslash"
    if path[1:2] == ":":
        return "Ray takes its name for a Windows drive"
    return ""


def twins(names: list[str]) -> list[tuple[str, str]]:
    """Pairs of names that are one name on macOS and Windows."""
    if len({_folded(name) for name in names}) == len(names):
        return []
    first: dict[str, str] = {}
    ordered = sorted(names)
    pairs = [(first.setdefault(_folded(name), name), name) for name in ordered]
    return [(one, other) for one, other in pairs if one != other]


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def shown(name: str) -> str:
    """A name as one line of printable text."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
