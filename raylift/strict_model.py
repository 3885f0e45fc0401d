"""Strict pydantic models of files, with errors that name line and key.

pydantic finds the errors. This module phrases them, adds the location in the file and
suggests similar keys and values.
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from raylift.errors import InvalidInput, Problem
from raylift.key_path import dotted
from raylift.messages import did_you_mean, kind
from raylift.redaction import is_secret, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic_core import ErrorDetails

    from raylift.key_path import KeyPath

M = TypeVar("M", bound="Strict")
KindOfUnion = (typing.Union, type(int | str))


class Strict(BaseModel):
    """A frozen model that rejects unknown keys and converts no values.

    `replaced` maps obsolete or misplaced keys to the message about them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    replaced: ClassVar[dict[str, str]] = {}


def _as_float(value: object) -> object:
    """Convert an integer to a float; strict mode rejects 2 for 2.0."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_whole else value  # type: ignore[arg-type]


Number = Annotated[float, BeforeValidator(_as_float), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]


def validate(
    model: type[M],
    value: object,
    *,
    location: Callable[[KeyPath], str],
    named: Callable[[KeyPath], str] = dotted,
) -> tuple[M | None, list[Problem]]:
    """Return a model of `value`, or None, and all problems.

    `location` maps a path to its `file:line`, and `named` maps it to its name in
    messages.
    """
    if not isinstance(value, dict):
        return None, [Problem(location(()), f"must be a mapping, not {kind(value)}")]
    try:
        return model.model_validate(value), []
    except ValidationError as failed:
        return None, _problems(model, failed.errors(), location=location, named=named)


def _problems(
    model: type[Strict],
    errors: Iterable[ErrorDetails],
    *,
    location: Callable[[KeyPath], str],
    named: Callable[[KeyPath], str],
) -> list[Problem]:
    problems: dict[KeyPath, Problem] = {}
    for error in errors:
        path = tuple(error["loc"])
        # A validator of a whole model starts its message with the key.
        name = named(path)
        after = ": " if path else "."
        text = f"{name}{after if name else ''}{_text(model, path, error, name)}"
        # A forgotten colon puts a secret where no name tells that it is one.
        problems.setdefault(path, Problem(location(path), without_secrets(text)))
    return list(problems.values())


def _text(model: type[Strict], path: KeyPath, error: ErrorDetails, name: str) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(model, path, name)
        case "missing":
            return "required but missing"
        case "value_error" | "assertion_error":
            return str(context["error"])
        case "greater_than":
            return (
                f"must be greater than {_number(context['gt'])}, not {error['input']}"
            )
        case "greater_than_equal":
            return f"must be at least {_number(context['ge'])}, not {error['input']}"
        case "less_than_equal":
            return f"must be at most {_number(context['le'])}, not {error['input']}"
        case "literal_error" | "enum":
            return _not_one_of(str(context["expected"]), error["input"])
        case "too_short" | "too_long":
            return _length_error(context)
        case "finite_number":
            return "must be a finite number"
    expected = _EXPECTED.get(error["type"])
    actual = kind(error["input"], hidden=is_secret(path, error["input"]))
    is_unquoted = expected == "a string" and isinstance(
        error["input"], (bool, int, float)
    )
    fix = "; put it in quotes" if is_unquoted else ""
    return f"must be {expected}, not {actual}{fix}" if expected else error["msg"]


_EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def _number(value: float) -> str:
    return f"{value:g}"


def _length_error(context: dict[str, Any]) -> str:
    actual = context["actual_length"]
    if "min_length" in context:
        return f"must have at least {_entries(context['min_length'])}, not {actual}"
    return f"must have at most {_entries(context['max_length'])}, not {actual}"


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"


def _not_one_of(expected: str, value: object) -> str:
    words = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    near = did_you_mean(value, words) if isinstance(value, str) else ""
    return f"must be one of {', '.join(words)}, not {kind(value)}{near}"


def _unknown_key(model: type[Strict], path: KeyPath, name: str) -> str:
    owner = _model_at(model, path[:-1])
    key = str(path[-1])
    if owner and key in owner.replaced:
        return owner.replaced[key]
    fields = owner.model_fields.items() if owner else ()
    known = [field.alias or attribute for attribute, field in fields]
    before = name.removesuffix(key)
    # Suggest `raylift:target` in full: `target` alone is another unknown key.
    namespace = before if before.endswith(":") else ""
    return f"unknown key{did_you_mean(key, known, prefix=namespace)}"


def _model_at(model: type[Strict], path: KeyPath) -> type[Strict] | None:
    current: Any = model
    for part in path:
        current = _element(current, part)
    inner = _unwrap(current)
    return inner if isinstance(inner, type) and issubclass(inner, Strict) else None


def _element(annotation: Any, part: str | int) -> Any:  # noqa: ANN401 a type
    inner = _unwrap(annotation)
    if isinstance(inner, type) and issubclass(inner, Strict):
        for name, field in inner.model_fields.items():
            if part in (name, field.alias):
                return field.annotation
        return None
    arguments = typing.get_args(inner)
    return arguments[-1] if arguments else None


def _unwrap(annotation: Any) -> Any:  # noqa: ANN401 a type
    if typing.get_origin(annotation) in KindOfUnion:
        rest = [a for a in typing.get_args(annotation) if a is not type(None)]
        return _unwrap(rest[0]) if len(rest) == 1 else annotation
    if typing.get_origin(annotation) is typing.Annotated:
        return _unwrap(typing.get_args(annotation)[0])
    return annotation


def refuse(problems: list[Problem]) -> None:
    """Raise InvalidInput with all problems in the order of their lines, if any."""
    if problems:
        raise InvalidInput(*sorted(problems, key=_by_line))


def _by_line(problem: Problem) -> tuple[str, int]:
    name, _, line = problem.location.rpartition(":")
    return (name, int(line)) if line.isdigit() else (problem.location, 0)
