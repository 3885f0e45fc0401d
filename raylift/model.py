"""Strict models for what comes from a file, and errors that name line and key.

pydantic finds what is wrong; this module says it as a colleague would, with the
place in the file and, for a word that nearly fits, the word that was meant.
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from raylift.errors import InputFailed, Problem
from raylift.wording import did_you_mean, dotted, kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pydantic_core import ErrorDetails

    from raylift.document import Place

M = TypeVar("M", bound="Strict")
KindOfUnion = (typing.Union, type(int | str))


class Strict(BaseModel):
    """Frozen, no unknown keys, no silent conversions.

    `replaced` names keys that people still write and what to write today.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    replaced: ClassVar[dict[str, str]] = {}


def _as_float(value: object) -> object:
    """YAML writes 2 where 2.0 is meant; strict mode would refuse it."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if whole else value  # type: ignore[arg-type]


Number = Annotated[float, BeforeValidator(_as_float), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]


def validate(
    model: type[M],
    value: object,
    *,
    place: Callable[[Place], str],
    named: Callable[[Place], str] = dotted,
) -> tuple[M | None, list[Problem]]:
    """The model made from `value`, or everything that is wrong with it.

    `place` gives `file:line` of a path, `named` how messages call it. A problem and
    a model never come together.
    """
    if not isinstance(value, dict):
        return None, [Problem(place(()), f"must be a mapping, not {kind(value)}")]
    try:
        return model.model_validate(value), []
    except ValidationError as failed:
        return None, _problems(model, failed.errors(), place=place, named=named)


def _problems(
    model: type[Strict],
    errors: Iterable[ErrorDetails],
    *,
    place: Callable[[Place], str],
    named: Callable[[Place], str],
) -> list[Problem]:
    found: dict[Place, Problem] = {}
    for error in errors:
        path = tuple(error["loc"])
        # A model's own error begins with the key that it is about.
        name = named(path)
        after = ": " if path else "."
        text = f"{name}{after if name else ''}{_text(model, path, error)}"
        found.setdefault(path, Problem(place(path), text))
    return list(found.values())


def _text(model: type[Strict], path: Place, error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(model, path)
        case "missing":
            return "required, but not given"
        case "value_error" | "assertion_error":
            return str(context["error"])
        case "greater_than":
            return (
                f"must be greater than {_number(context['gt'])}, not {error['input']}"
            )
        case "greater_than_equal":
            return f"must be {_number(context['ge'])} or more, not {error['input']}"
        case "less_than_equal":
            return f"must be {_number(context['le'])} or less, not {error['input']}"
        case "literal_error" | "enum":
            return _not_one_of(str(context["expected"]), error["input"])
        case "too_short" | "too_long":
            return _wrong_length(context)
        case "finite_number":
            return "must be a finite number"
    wanted = _WANTED.get(error["type"])
    got = kind(error["input"])
    quoted = wanted == "text" and isinstance(error["input"], (bool, int, float))
    fix = "; put it in quotes" if quoted else ""
    return f"must be {wanted}, not {got}{fix}" if wanted else error["msg"]


_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def _number(value: float) -> str:
    return f"{value:g}"


def _wrong_length(context: dict[str, Any]) -> str:
    has = context["actual_length"] or "none"
    if "min_length" in context:
        return f"must have {context['min_length']} or more, not {has}"
    return f"must have {context['max_length']} or fewer, not {has}"


def _not_one_of(expected: str, value: object) -> str:
    words = [word.strip("'") for word in expected.replace(" or ", ", ").split(", ")]
    near = did_you_mean(value, words) if isinstance(value, str) else ""
    return f"must be one of {', '.join(words)}, not {kind(value)}{near}"


def _unknown_key(model: type[Strict], path: Place) -> str:
    owner = _model_at(model, path[:-1])
    key = str(path[-1])
    if owner and key in owner.replaced:
        return owner.replaced[key]
    known = list(owner.model_fields) if owner else []
    names = [
        field.alias or name
        for name, field in (owner.model_fields.items() if owner else ())
    ]
    return f"unknown key{did_you_mean(key, names or known)}"


def _model_at(model: type[Strict], path: Place) -> type[Strict] | None:
    current: Any = model
    for part in path:
        current = _element(current, part)
    found = _unwrap(current)
    return found if isinstance(found, type) and issubclass(found, Strict) else None


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
    """Raise InputFailed with all problems in the order of the file, if any."""
    if problems:
        raise InputFailed(*sorted(problems, key=_by_line))


def _by_line(problem: Problem) -> tuple[str, int]:
    name, _, line = problem.place.rpartition(":")
    return (name, int(line)) if line.isdigit() else (problem.place, 0)
