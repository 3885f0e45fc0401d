"""The Serve config in a RayService manifest."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from raylift.errors import InvalidInput
from raylift.yaml_document import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEPARATOR = re.compile(r"^---(?=\s|$)", re.MULTILINE)


def serve_config_of(text: str, *, name: str) -> str:
    """Return `spec.serveConfigV2` of the only RayService in a file of manifests.

    Raises:
        InvalidInput: The text is not YAML, or has no or more than one Serve config.
    """
    parts = [part for part in _documents(text) if _has_content(part)]
    values = [parse(part, name=name).value for part in parts]
    specs = [
        value.get("spec")
        for value in values
        if isinstance(value, dict) and value.get("kind") == "RayService"
    ]
    configs = [
        spec["serveConfigV2"]
        for spec in specs
        if isinstance(spec, dict) and isinstance(spec.get("serveConfigV2"), str)
    ]
    if len(configs) != 1:
        found = f"found {len(configs)}" if configs else "found none"
        raise InvalidInput.at(
            name, f"must contain one RayService with spec.serveConfigV2; {found}"
        )
    parse(configs[0], name=f"{name}: spec.serveConfigV2")
    return f"{configs[0].rstrip()}\n"


def _documents(text: str) -> Iterator[str]:
    """Yield each YAML document, after as many empty lines as precede it."""
    line = 0
    for part in _SEPARATOR.split(text):
        yield "\n" * line + part
        line += part.count("\n")


def _has_content(part: str) -> bool:
    lines = (line.strip() for line in part.splitlines())
    return any(line and not line.startswith("#") for line in lines)
