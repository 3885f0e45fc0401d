"""The path of a value in a document, and its spelling in messages."""

from __future__ import annotations

Key = str | int
KeyPath = tuple[Key, ...]


def dotted(path: KeyPath) -> str:
    """Return `applications[0].name` for `("applications", 0, "name")`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
