"""A stack file as text → StackConfig, every error at once, each with its line."""

from __future__ import annotations

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
    settings = document.value.get("config") or {}
    if not isinstance(settings, dict):
        place = document.place(("config",))
        raise InputFailed(*problems, Problem(place, "config: must be a mapping"))
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
