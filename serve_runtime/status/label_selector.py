"""Ray's label selectors (ray/_private/label_utils.py)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_IN = re.compile(r"in\((.*)\)")


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Return whether the labels of a node match all conditions of a selector.

    A condition is `value`, `in(a, b)`, or one of these after `!`, which also matches a
    node without the label.
    """
    return all(_holds(text, labels.get(key)) for key, text in selector.items())


def _holds(condition: str, label: str | None) -> bool:
    text = condition.removeprefix("!")
    values = re.split(r", ?", match[1]) if (match := _IN.fullmatch(text)) else [text]
    return (label in values) != condition.startswith("!")
