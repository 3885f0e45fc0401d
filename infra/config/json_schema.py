"""Conversion of the models of all targets to a JSON Schema for editors; pure functions.

Editors use the schema to complete and explain keys. It does not replace `loader`, which
also runs cross-field checks and has better messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.infra.config.base import TARGETS, StackConfig, Target
from raylift.infra.config.loader import (
    PREFIX,
    PROVIDER,
    PULUMI,
    model_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_TARGET = f"{PREFIX}target"
# pydantic uses its own names for bounds that follow a validator.
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum"}


def schema() -> dict[str, Any]:
    """Return the schema of a whole `stacks/Pulumi.<stack>.yaml`."""
    definitions: dict[str, Any] = {}
    for target in TARGETS:
        definitions |= _definitions(target)
    settings = {
        "description": PULUMI["config"],
        "type": ["object", "null"],
        "properties": {_TARGET: _target()},
        "allOf": [_where(target) for target in TARGETS],
    }
    others = {key: {"description": text} for key, text in PULUMI.items()}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "raylift stack file",
        "type": "object",
        "properties": {**others, "config": settings},
        "additionalProperties": False,
        "$defs": definitions,
    }


def _target() -> dict[str, Any]:
    text = StackConfig.model_fields["target"].description
    return {"description": text, "enum": list(TARGETS), "default": "local"}


def _where(target: Target) -> dict[str, Any]:
    """Return the condition for files with a target; `local` is the default."""
    named: dict[str, Any] = {"properties": {_TARGET: {"const": target}}}
    if target != "local":
        named["required"] = [_TARGET]
    return {"if": named, "then": {"$ref": f"#/$defs/{target}"}}


def _definitions(target: Target) -> dict[str, Any]:
    """Return the schemas of a target's sections and of its `config`, by name."""
    whole = model_of(target).model_json_schema(
        by_alias=True, ref_template=f"#/$defs/{target}.{{model}}"
    )
    parts = whole.pop("$defs")
    provider = parts.pop("Provider", {"properties": {}, "required": []})
    properties = _prefixed(PREFIX, whole["properties"], without=("aws",))
    properties |= _prefixed(PROVIDER, provider["properties"])
    required = [f"{PROVIDER}{key}" for key in provider["required"]]
    config = {
        "description": whole["description"],
        "type": ["object", "null"],
        "properties": properties,
        # Keys of other programs, which always have a prefix.
        "patternProperties": {f"^(?!{PREFIX})[^:]+:": {}},
        "additionalProperties": False,
        "required": required,
    }
    named = {f"{target}.{name}": part for name, part in parts.items()}
    return {name: _plain(part) for name, part in {target: config, **named}.items()}


def _prefixed(
    prefix: str, properties: dict[str, Any], *, without: Iterable[str] = ()
) -> dict[str, Any]:
    return {f"{prefix}{k}": v for k, v in properties.items() if k not in without}


def _plain(part: Any) -> Any:  # noqa: ANN401 any part of a schema
    """Return a part without titles and without the repeated defaults of sections."""
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    plain = {}
    for key, value in part.items():
        if key == "title" and isinstance(value, str):
            continue
        if key == "default" and (value is None or isinstance(value, (dict, list))):
            continue
        if key == "description" and isinstance(value, str):
            plain[key] = " ".join(value.split())
            continue
        plain[_BOUNDS.get(key, key)] = _plain(value)
    return plain
