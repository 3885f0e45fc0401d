"""Conversion of a stack file to a StackConfig, or to all errors with their lines."""

from __future__ import annotations

import contextlib
import importlib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from pydantic import ValidationError, create_model

from raylift.errors import InvalidInput, Problem
from raylift.infra.config.base import TARGETS, Section, StackConfig, Target
from raylift.infra.config.checks import run_checks
from raylift.key_path import dotted
from raylift.messages import did_you_mean, kind
from raylift.strict_model import refuse, validate
from raylift.yaml_document import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from raylift.infra.config.checks import Check, Finding
    from raylift.key_path import KeyPath
    from raylift.yaml_document import Document

PREFIX = "raylift:"
PROVIDER = "aws:"
# Pulumi's own top-level keys: sdk/go/common/workspace/project.go, ProjectStack.
PULUMI = {
    "config": "Configuration of raylift, Pulumi providers and other Pulumi programs.",
    "encryptionsalt": "Salt of the passphrase that encrypts secrets; set by Pulumi.",
    "encryptedkey": "Encrypted key of the secrets provider; set by Pulumi.",
    "secretsprovider": "Provider that encrypts secrets, such as `awskms://…`.",
    "environment": "Pulumi ESC environments that the stack imports.",
}


class _TargetModules(NamedTuple):
    """The modules with the model and the checks of a target, imported on demand."""

    config: str
    model: str
    checks: str


_MODULES: dict[Target, _TargetModules] = {
    "local": _TargetModules(
        "raylift.infra.local.config", "LocalConfig", "raylift.infra.local.checks"
    ),
    "kubernetes": _TargetModules(
        "raylift.infra.kubernetes.config",
        "KubernetesConfig",
        "raylift.infra.kubernetes.checks",
    ),
    "aws": _TargetModules(
        "raylift.infra.aws.config", "AwsConfig", "raylift.infra.aws.checks"
    ),
}


def load_stack_file(path: Path) -> StackConfig:
    """Read a `stacks/Pulumi.<stack>.yaml`.

    Raises:
        InvalidInput: With every error of the file.
    """
    document = read(path, name=f"{path.parent.name}/{path.name}")
    if not isinstance(document.value, dict):
        raise InvalidInput.at(
            document.name, f"must be a mapping, not {kind(document.value)}"
        )
    problems = _foreign_keys(document)
    settings = document.value.get("config")
    settings = {} if settings is None else settings
    if not isinstance(settings, dict):
        text = f"config: must be a mapping, not {kind(settings)}"
        raise InvalidInput(*problems, Problem(document.location(("config",)), text))
    problems += _misnamed(document, settings)

    def location_of(path: KeyPath) -> str:
        if path and isinstance(path[0], str):
            return document.location(("config", *_as_written(path)))
        return document.location(("config",))

    config, errors = config_of(settings, location=location_of)
    problems += errors + _plain_text_secrets(settings, location_of)
    refuse(problems)
    return cast("StackConfig", config)


def config_of(
    settings: dict[str, object], *, location: Callable[[KeyPath], str]
) -> tuple[StackConfig | None, list[Problem]]:
    """Return the configuration in Pulumi's settings.

    `settings` include the prefixes. `location` returns the location of a key.
    """
    target = settings.get(f"{PREFIX}target", "local")
    if target not in TARGETS:
        return validate(
            StackConfig, {"target": target}, location=location, named=key_of
        )
    model = model_of(target)
    values = _with_prefix(PREFIX, settings)
    problems = []
    if "aws" in model.model_fields:
        if "aws" in values:
            text = "set AWS provider keys without the raylift: prefix, as in aws:region"
            problems.append(_problem(("aws",), text, location))
        values["aws"] = _with_prefix(PROVIDER, settings)
    config, errors = validate(model, values, location=location, named=key_of)
    sections = dict(config) if config else _valid_sections(model, values)
    problems += [_explain(problem, model, location) for problem in errors]
    problems += [
        _problem(finding.path, finding.text, location)
        for finding in run_checks(checks_of(target), sections)
        if not finding.is_warning
    ]
    return (None, problems) if problems else (config, [])


def _valid_sections(
    model: type[StackConfig], values: dict[str, object]
) -> dict[str, object]:
    """Validate each top-level section separately; return the valid ones by name."""
    sections = {}
    for name, field in model.model_fields.items():
        fields: dict[str, Any] = {name: (field.annotation, field)}
        alone = create_model(name, __base__=Section, **fields)
        value = {k: v for k, v in values.items() if k == field.alias}
        with contextlib.suppress(ValidationError):
            sections[name] = getattr(alone.model_validate(value), name)
    return sections


def findings_of(config: StackConfig) -> Iterator[Finding]:
    """Run all checks of a valid configuration."""
    return run_checks(checks_of(config.target), dict(config))


def warnings_of(config: StackConfig) -> list[str]:
    """Return one line for each setting that works, but probably not as intended."""
    return [
        f"{key_of(finding.path)}: {finding.text}"
        for finding in findings_of(config)
        if finding.is_warning
    ]


def target_of(path: Path) -> Target:
    """Return the target of a stack file without validating its other keys."""
    value = read(path, name=f"{path.parent.name}/{path.name}").value
    settings = value.get("config") if isinstance(value, dict) else None
    target = (
        (settings or {}).get(f"{PREFIX}target") if isinstance(settings, dict) else None
    )
    return target if target in TARGETS else "local"


def model_of(target: Target) -> type[StackConfig]:
    """Import and return the model of a target."""
    modules = _MODULES[target]
    module = importlib.import_module(modules.config)
    return cast("type[StackConfig]", getattr(module, modules.model))


def checks_of(target: Target) -> tuple[Check, ...]:
    """Import and return the cross-field checks of a target."""
    module = importlib.import_module(_MODULES[target].checks)
    return cast("tuple[Check, ...]", module.CHECKS)


def key_of(path: KeyPath) -> str:
    """Return a path of the configuration as in messages: `raylift:ray.version`."""
    if path[:1] == ("aws",) and len(path) > 1:
        return PROVIDER + dotted(path[1:])
    return PREFIX + dotted(path) if path else ""


def _as_written(path: KeyPath) -> KeyPath:
    """Return a path of the configuration as a path below `config:` in the file."""
    if path[:1] == ("aws",) and len(path) > 1:
        return (f"{PROVIDER}{path[1]}", *path[2:])
    return (f"{PREFIX}{path[0]}", *path[1:])


def _with_prefix(prefix: str, settings: dict[str, object]) -> dict[str, object]:
    """Return the settings with a prefix, and remove it from their keys."""
    return {
        key.removeprefix(prefix): value
        for key, value in settings.items()
        if key.startswith(prefix)
    }


def _problem(path: KeyPath, text: str, location: Callable[[KeyPath], str]) -> Problem:
    return Problem(location(path), f"{key_of(path)}: {text}")


def _explain(
    problem: Problem, model: type[StackConfig], location: Callable[[KeyPath], str]
) -> Problem:
    """Add the target to the errors that depend on it."""
    if problem.text.startswith("aws:region: required"):
        text = "aws:region: required with target aws; for example, us-west-2"
        return Problem(location(("target",)), text)
    key, _, text = problem.text.removeprefix(PREFIX).partition(": ")
    if not text.startswith("unknown key"):
        return problem
    others = [t for t in TARGETS if model_of(t) is not model]
    targets = [target for target in others if key in _keys(target)]
    if not targets:
        return problem
    text = f"is only supported with target {' or '.join(targets)}"
    return Problem(problem.location, f"{PREFIX}{key}: {text}")


def _keys(target: Target) -> list[str]:
    """Return the top-level keys of a target, without their prefix."""
    fields = model_of(target).model_fields.items()
    return [field.alias or name for name, field in fields]


def _plain_text_secrets(
    settings: dict[str, object], location: Callable[[KeyPath], str]
) -> list[Problem]:
    """Report the values of secretEnv that Pulumi has not encrypted."""
    ray = settings.get(f"{PREFIX}ray")
    secrets = ray.get("secretEnv") if isinstance(ray, dict) else None
    problems = []
    for name, value in secrets.items() if isinstance(secrets, dict) else ():
        path = ("ray", "secretEnv", name)
        if not (isinstance(value, dict) and value.keys() == {"secure"}):
            command = f"pulumi config set --secret --path '{key_of(path)}'"
            problems.append(
                _problem(path, f"must be encrypted; run `{command}`", location)
            )
    return problems


def _misnamed(document: Document, settings: dict[str, object]) -> list[Problem]:
    """Report keys without raylift's prefix, or with a typo in it."""
    return [
        Problem(document.location(("config", key)), f"{key}: {text}")
        for key in settings
        if (text := _misnaming(key))
    ]


def _misnaming(key: str) -> str:
    """Return the problem with the prefix of a key, or ""."""
    prefix, colon, name = key.rpartition(":")
    if key.startswith(PREFIX):
        return ""
    if key == PREFIX[:-1]:
        return f"needs a name, such as {PREFIX}target"
    if not colon:
        meant = did_you_mean(key, _all_keys(), prefix=PREFIX)
        return f"unknown key{meant}" if meant else f"needs the prefix '{PREFIX}'"
    is_near = get_close_matches(prefix.lower(), [PREFIX[:-1]], cutoff=0.75)
    if not is_near or name not in _all_keys():
        return ""
    return f"unknown key; did you mean {PREFIX}{name}?"


def _all_keys() -> list[str]:
    return sorted({key for target in TARGETS for key in _keys(target)})


def _foreign_keys(document: Document) -> list[Problem]:
    return [
        Problem(
            document.location((key,)),
            f"{key}: unknown key{did_you_mean(key, PULUMI)};"
            f" raylift's keys belong under config, such as {PREFIX}target",
        )
        for key in document.value
        if key not in PULUMI
    ]
