"""Keys at the top of a Serve config that only hold YAML anchors."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from raylift.errors import Problem
    from raylift.yaml_document import Document


def without_anchors(document: Document) -> Document:
    """Remove top-level keys such as `x-common`."""
    value = {k: v for k, v in document.value.items() if not str(k).startswith("x-")}
    return replace(document, value=value)


def with_advice(problem: Problem, value: dict[str, Any]) -> Problem:
    """Add to the problem of an unknown key at the top how to name one with anchors."""
    key, _, text = problem.text.partition(": ")
    if text != "unknown key" or not isinstance(value.get(key), dict | list):
        return problem
    name = f"x-{key.lstrip('._-')}"
    advice = f"; if it only holds YAML anchors, name it {name}"
    return replace(problem, text=f"{problem.text}{advice}")
