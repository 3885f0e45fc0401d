"""The Serve config in a RayService manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.errors import InvalidInput
from raylift.yaml_document import documents, parse

if TYPE_CHECKING:
    from collections.abc import Iterator


def serve_config_of(text: str, *, name: str) -> str:
    """Return `spec.serveConfigV2` of the only RayService in a file of manifests.

    Its `spec` alone, or `serveConfigV2` alone, is sufficient.

    Raises:
        InvalidInput: The text is not YAML, or has no or more than one Serve config.
    """
    values = [parse(part, name=name).value for part in documents(text)]
    configs = [config for value in values for config in _configs(value)]
    if len(configs) != 1:
        found = f"found {len(configs)}" if configs else "found none"
        raise InvalidInput.at(
            name, f"must contain one RayService with spec.serveConfigV2; {found}"
        )
    parse(configs[0], name=f"{name}: spec.serveConfigV2")
    return f"{configs[0].rstrip()}\n"


def _configs(value: Any) -> Iterator[str]:  # noqa: ANN401 YAML
    """Yield the Serve configs in a manifest, a list of manifests, or a part of one."""
    if not isinstance(value, dict):
        return
    if value.get("kind") == "List":
        for item in value.get("items") or ():
            yield from _configs(item)
    elif value.get("kind") in ("RayService", None):
        for part in (value, value.get("spec")):
            if isinstance(part, dict) and isinstance(part.get("serveConfigV2"), str):
                yield part["serveConfigV2"]
