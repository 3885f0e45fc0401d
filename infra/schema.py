"""Pure: the models of all targets → one JSON Schema of a stack file, for editors.

It completes and explains keys while one types. What is right is decided by
`stack_file`, which says more, and also what does not fit together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.config import TARGETS, Target
from infra.stack_file import PREFIX, PROVIDER, PULUMI, model_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_TARGET = f"{PREFIX}target"
# pydantic leaves its own words where a validator comes before the bound.
_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum"}


def schema() -> dict[str, Any]:
    """The schema of a whole `stacks/Pulumi.<stack>.yaml`."""
    definitions: dict[str, Any] = {}
    for target in TARGETS:
        definitions |= _definitions(target)
    settings = {
        "description": "Settings of raylift, of Pulumi's providers and other programs.",
        "type": ["object", "null"],
        "properties": {_TARGET: {"enum": list(TARGETS), "default": "local"}},
        "allOf": [_where(target) for target in TARGETS],
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A stack file of raylift",
        "type": "object",
        "properties": {**{key: {} for key in PULUMI}, "config": settings},
        "additionalProperties": False,
        "$defs": definitions,
    }


def _where(target: Target) -> dict[str, Any]:
    """The keys of one target, in a file that names it; `local` need not be named."""
    named: dict[str, Any] = {"properties": {_TARGET: {"const": target}}}
    if target != "local":
        named["required"] = [_TARGET]
    return {"if": named, "then": {"$ref": f"#/$defs/{target}"}}


def _definitions(target: Target) -> dict[str, Any]:
    """What a target's model refers to, and under its own name what `config` holds."""
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
        # Keys of other programs; one without a prefix is nobody's.
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
    """Without titles and defaults that repeat what stands elsewhere."""
    if isinstance(part, list):
        return [_plain(item) for item in part]
    if not isinstance(part, dict):
        return part
    found = {}
    for key, value in part.items():
        if key == "title" and isinstance(value, str):
            continue
        if key == "default" and (value is None or isinstance(value, (dict, list))):
            continue
        found[_BOUNDS.get(key, key)] = _plain(value)
    return found
