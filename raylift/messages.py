"""Formatting of values, exceptions and suggestions in messages."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def kind(value: object, *, hidden: bool = False) -> str:
    """Describe a YAML value: `the string 'abc'`, `the number 3`, `a list`, `null`.

    If `hidden`, do not show it: `a string`, `a number`.
    """
    if hidden and isinstance(value, str | int | float) and not isinstance(value, bool):
        return "a string" if isinstance(value, str) else "a number"
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the string '{printable(value)}'"
        case list():
            return "a list"
    return "a mapping"


def printable(text: str, *, limit: int = 60) -> str:
    """Escape untrusted text for a terminal and truncate it to `limit` characters."""
    clean = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )
    return clean if len(clean) <= limit else f"{clean[:limit]}…"


def os_reason(error: OSError) -> str:
    """Return the reason of an OSError in lower case, such as `permission denied`."""
    return (error.strerror or str(error)).lower()


def exception_text(error: Exception) -> str:
    """Return an exception's text, with its type if the text is a single word."""
    return str(error) if " " in str(error) else f"{type(error).__name__} {error}"


def did_you_mean(word: str, known: Iterable[str], *, prefix: str = "") -> str:
    """Return `; did you mean x?`, or "" if no known word is similar.

    `prefix` is added to the suggestion.
    """
    lowered = {name.lower(): name for name in known}
    plain = word.lower().replace("-", "_")
    near = difflib.get_close_matches(plain, lowered, n=1, cutoff=0.6)
    return f"; did you mean {prefix}{lowered[near[0]]}?" if near else ""
