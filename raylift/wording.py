"""How messages name keys, values and near misses."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raylift.document import Place


def dotted(path: Place) -> str:
    """`applications[0].name` for `("applications", 0, "name")`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def kind(value: object) -> str:
    """What a YAML value is, in words: `the text "abc"`, `a list`, `nothing`."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return f'the text "{printable(value)}"'
        case list():
            return "a list"
    return "a mapping"


def printable(text: str, *, limit: int = 60) -> str:
    """Text from a file, safe for a terminal and short enough for a line."""
    clean = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )
    return clean if len(clean) <= limit else f"{clean[:limit]}…"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing where no known word comes near."""
    lowered = {name.lower(): name for name in known}
    plain = word.lower().replace("-", "_")
    near = difflib.get_close_matches(plain, lowered, n=1, cutoff=0.6)
    return f"; did you mean {lowered[near[0]]}?" if near else ""
