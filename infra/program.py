"""build: what `pulumi up` and `raylift up` run; the one match on the target."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pulumi

from infra.aws.config import AwsConfig
from infra.kubernetes.config import KubernetesConfig
from infra.stack_file import config_of
from raylift.errors import InputFailed, RayliftError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.config import StackConfig
    from infra.kubernetes.facts import Facts


def main() -> None:
    """Build the stack that Pulumi runs, from the settings it was given.

    Raises:
        pulumi.RunError: the settings are wrong, or the cluster lacks something.
    """
    try:
        outputs = build(read_config(settings()), pulumi.get_stack())
    except RayliftError as error:
        raise pulumi.RunError(f"{error}\n{error.hint}".rstrip()) from None
    for name, value in outputs.items():
        pulumi.export(name, value)


def settings() -> Mapping[str, str]:
    """An inline program is handed its settings, another finds them around it."""
    from pulumi.runtime import config

    return config.get_config_env() | config.CONFIG.get()


def build(
    config: StackConfig, stack: str, facts: Facts | None = None
) -> dict[str, Any]:
    """Register every resource of a stack; the outputs that it hands over.

    `facts` are what the cluster of target `kubernetes` says of itself; they are
    asked for where they are not given.
    """
    if isinstance(config, KubernetesConfig):
        from infra.kubernetes import program as kubernetes

        return kubernetes.build(config, stack, facts or found(config, stack))
    if isinstance(config, AwsConfig):
        from infra.aws import program as aws

        return aws.build(config, stack)
    raise InputFailed.at(
        "raylift:target",
        "local is this machine, where Pulumi has nothing to do",
        hint=f"raylift up -s {stack}",
    )


def found(config: KubernetesConfig, stack: str) -> Facts:
    """What the cluster says of itself, if it has all that the stack needs."""
    from infra.kubernetes.facts import facts_of
    from infra.kubernetes.preflight import refuse_what_lacks

    facts = facts_of(config, stack)
    refuse_what_lacks(config, facts)
    return facts


def read_config(given: Mapping[str, str]) -> StackConfig:
    """The configuration that a program's settings make.

    Pulumi hands over every value as text: an object as JSON, a secret in clear.

    Raises:
        InputFailed: with everything that is wrong.
    """
    values = {key: _value(text) for key, text in given.items()}
    config, problems = config_of(values, place=lambda _: "")
    if config is None:
        raise InputFailed(*problems)
    return config


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
