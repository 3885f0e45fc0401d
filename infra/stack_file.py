"""A stack file as text → StackConfig, every error at once, each with its line."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from infra.config import StackConfig
from raylift.document import read
from raylift.errors import InputFailed, Problem
from raylift.model import refuse, validate
from raylift.wording import did_you_mean, kind

if TYPE_CHECKING:
    from pathlib import Path

    from raylift.document import Document, Place

_PREFIX = "raylift:"
# Pulumi's own top-level keys: sdk/go/common/workspace/project.go, ProjectStack.
_PULUMI = ("config", "encryptionsalt", "encryptedkey", "secretsprovider", "environment")


def load_stack_file(path: Path) -> StackConfig:
    """Read one `stacks/Pulumi.<stack>.yaml`.

    Raises:
        InputFailed: with everything that is wrong in the file.
    """
    document = read(path, name=f"{path.parent.name}/{path.name}")
    if not isinstance(document.value, dict):
        raise InputFailed.at(
            document.name, f"must be a mapping, not {kind(document.value)}"
        )
    problems = _foreign_keys(document)
    settings = document.value.get("config")
    settings = {} if settings is None else settings
    if not isinstance(settings, dict):
        text = f"config: must be a mapping, not {kind(settings)}"
        raise InputFailed(*problems, Problem(document.place(("config",)), text))
    problems += _misnamed(document, settings)
    ours = {
        key.removeprefix(_PREFIX): value
        for key, value in settings.items()
        if key.startswith(_PREFIX)
    }

    def place_of(path: Place) -> str:
        if path and isinstance(path[0], str):
            return document.place(("config", f"{_PREFIX}{path[0]}", *path[1:]))
        return document.place(("config",))

    config, wrong = validate(StackConfig, ours, place=place_of, prefix=_PREFIX)
    refuse(problems + wrong)
    return config or StackConfig()


def _misnamed(document: Document, settings: dict[str, object]) -> list[Problem]:
    """Keys that are meant for us but lack our prefix: nothing would read them."""
    names = [field.alias or "" for field in StackConfig.model_fields.values()]
    problems = []
    for key in settings:
        prefix, colon, name = key.rpartition(":")
        near = get_close_matches(prefix.lower(), [_PREFIX[:-1]], cutoff=0.75)
        if not colon:
            ours = key == _PREFIX[:-1]
            meant = "" if ours else did_you_mean(key, names)
            meant = meant.replace("mean ", f"mean {_PREFIX}")
            text = f"{key}: has no prefix{meant or f', such as {_PREFIX}target'}"
        elif near and f"{prefix}:" != _PREFIX and name in names:
            text = f"{key}: did you mean {_PREFIX}{name}?"
        else:
            continue
        problems.append(Problem(document.place(("config", key)), text))
    return problems


def _foreign_keys(document: Document) -> list[Problem]:
    return [
        Problem(
            document.place((key,)),
            f"{key}: not a key of a Pulumi stack file{did_you_mean(key, _PULUMI)};"
            " raylift's settings go under config: as raylift:…",
        )
        for key in document.value
        if key not in _PULUMI
    ]
