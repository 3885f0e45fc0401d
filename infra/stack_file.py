"""A stack file as text → a StackConfig, every error at once, each with its line."""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from typing import TYPE_CHECKING, cast

from infra.config import TARGETS, StackConfig, Target
from raylift.document import read
from raylift.errors import InputFailed, Problem
from raylift.model import Strict, refuse, validate
from raylift.wording import did_you_mean, dotted, kind

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from raylift.document import Document, Place

PREFIX = "raylift:"
PROVIDER = "aws:"
# Pulumi's own top-level keys: sdk/go/common/workspace/project.go, ProjectStack.
PULUMI = ("config", "encryptionsalt", "encryptedkey", "secretsprovider", "environment")
_MODELS = {
    "local": ("infra.local.config", "LocalConfig"),
    "kubernetes": ("infra.kubernetes.config", "KubernetesConfig"),
    "aws": ("infra.aws.config", "AwsConfig"),
}


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

    def place_of(path: Place) -> str:
        if path and isinstance(path[0], str):
            return document.place(("config", *_written(path)))
        return document.place(("config",))

    config, wrong = config_of(settings, place=place_of)
    problems += wrong + _in_clear(settings, place_of)
    refuse(problems)
    return cast("StackConfig", config)


def config_of(
    settings: dict[str, object], *, place: Callable[[Place], str]
) -> tuple[StackConfig | None, list[Problem]]:
    """The configuration that a stack's settings make, or all that is wrong with them.

    `settings` are Pulumi's, with their prefixes; `place` says where a key stands.
    """
    target = settings.get(f"{PREFIX}target", "local")
    if target not in TARGETS:
        return validate(StackConfig, {"target": target}, place=place, named=key_of)
    model = model_of(target)
    values = _under(PREFIX, settings)
    problems = []
    if "aws" in model.model_fields:
        if "aws" in values:
            text = "keys of Pulumi's provider stand for themselves, such as aws:region"
            problems.append(_problem(("aws",), text, place))
        values["aws"] = _under(PROVIDER, settings)
    config, wrong = validate(model, values, place=place, named=key_of)
    problems += [_elsewhere(_of_region(problem, place), model) for problem in wrong]
    known = config or model.right_part(values)
    problems += [
        _problem(item.path, item.text, place)
        for item in known.checks()
        if not item.is_warning
    ]
    return (None, problems) if problems else (config, [])


def warnings_of(config: StackConfig) -> list[str]:
    """What works, but hardly as it was meant."""
    return [
        f"{key_of(item.path)}: {item.text}"
        for item in config.checks()
        if item.is_warning
    ]


def target_of(path: Path) -> Target:
    """The target of a stack file, without a check of anything else in it."""
    value = read(path, name=f"{path.parent.name}/{path.name}").value
    settings = value.get("config") if isinstance(value, dict) else None
    target = (
        (settings or {}).get(f"{PREFIX}target") if isinstance(settings, dict) else None
    )
    return target if target in TARGETS else "local"


def model_of(target: object) -> type[StackConfig]:
    """The model of a target; each is imported only when it is used."""
    module, name = _MODELS[str(target)]
    return cast("type[StackConfig]", getattr(importlib.import_module(module), name))


def key_of(path: Place) -> str:
    """A path of the configuration as one writes it, `raylift:ray.version`."""
    if path[:1] == ("aws",) and len(path) > 1:
        return PROVIDER + dotted(path[1:])
    return PREFIX + dotted(path) if path else ""


def _written(path: Place) -> Place:
    """A path of the configuration as it stands under `config:` of the file."""
    if path[:1] == ("aws",) and len(path) > 1:
        return (f"{PROVIDER}{path[1]}", *path[2:])
    return (f"{PREFIX}{path[0]}", *path[1:])


def _under(prefix: str, settings: dict[str, object]) -> dict[str, object]:
    return {
        key.removeprefix(prefix): value
        for key, value in settings.items()
        if key.startswith(prefix)
    }


def _problem(path: Place, text: str, place: Callable[[Place], str]) -> Problem:
    return Problem(place(path), f"{key_of(path)}: {text}")


def _elsewhere(problem: Problem, model: type[Strict]) -> Problem:
    """A key that another target has is not unknown, it is out of place."""
    key, _, text = problem.text.removeprefix(PREFIX).partition(": ")
    if not text.startswith("unknown key"):
        return problem
    targets = [
        t for t in TARGETS if _has(model_of(t), key) and model_of(t) is not model
    ]
    if not targets:
        return problem
    text = f"only target {' and '.join(targets)} has this key"
    return Problem(problem.place, f"{PREFIX}{key}: {text}")


def _of_region(problem: Problem, place: Callable[[Place], str]) -> Problem:
    """A missing key of Pulumi's own is told with who asks for it."""
    if not problem.text.startswith("aws:region: required"):
        return problem
    text = "aws:region: required when raylift:target is aws, such as us-west-2"
    return Problem(place(("target",)), text)


def _has(model: type[Strict], key: str) -> bool:
    return key in [field.alias for field in model.model_fields.values()]


def _in_clear(
    settings: dict[str, object], place: Callable[[Place], str]
) -> list[Problem]:
    """Values of secretEnv that Pulumi has not encrypted."""
    ray = settings.get(f"{PREFIX}ray")
    secret = ray.get("secretEnv") if isinstance(ray, dict) else None
    found = []
    for name, value in secret.items() if isinstance(secret, dict) else ():
        path = ("ray", "secretEnv", name)
        if not (isinstance(value, dict) and value.keys() == {"secure"}):
            how = f"pulumi config set --secret --path '{key_of(path)}'"
            found.append(_problem(path, f"in clear; use {how}", place))
    return found


def _misnamed(document: Document, settings: dict[str, object]) -> list[Problem]:
    """Keys that are meant for us but lack our prefix: nothing would read them."""
    models = map(model_of, TARGETS)
    names = sorted({f.alias or "" for m in models for f in m.model_fields.values()})
    problems = []
    for key in settings:
        prefix, colon, name = key.rpartition(":")
        near = get_close_matches(prefix.lower(), [PREFIX[:-1]], cutoff=0.75)
        if not colon:
            ours = key == PREFIX[:-1]
            meant = "" if ours else did_you_mean(key, names)
            meant = meant.replace("mean ", f"mean {PREFIX}")
            text = f"{key}: has no prefix{meant or f', such as {PREFIX}target'}"
        elif near and f"{prefix}:" != PREFIX and name in names:
            text = f"{key}: did you mean {PREFIX}{name}?"
        else:
            continue
        problems.append(Problem(document.place(("config", key)), text))
    return problems


def _foreign_keys(document: Document) -> list[Problem]:
    return [
        Problem(
            document.place((key,)),
            f"{key}: not a key of a Pulumi stack file{did_you_mean(key, PULUMI)};"
            " raylift's settings go under config: as raylift:…",
        )
        for key in document.value
        if key not in PULUMI
    ]
