"""The Pulumi program that `pulumi up` and `raylift up` run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pulumi

from raylift.errors import InvalidInput, RayliftError
from raylift.infra.aws.config import AwsConfig
from raylift.infra.config.loader import config_of
from raylift.infra.kubernetes.config import KubernetesConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raylift.infra.config.base import StackConfig
    from raylift.infra.kubernetes.cluster_info import ClusterInfo


def main() -> None:
    """Build the stack that Pulumi runs, from its configuration.

    Raises:
        pulumi.RunError: the configuration is invalid, or the cluster does not meet a
            requirement.
    """
    try:
        outputs = build(read_config(settings()), pulumi.get_stack())
    except RayliftError as error:
        raise pulumi.RunError(f"{error}\n{error.hint}".rstrip()) from None
    for name, value in outputs.items():
        pulumi.export(name, value)


def settings() -> Mapping[str, str]:
    """Return the configuration, of an inline program or from the environment."""
    from pulumi.runtime import config

    return config.get_config_env() | config.CONFIG.get()


def build(
    config: StackConfig, stack: str, info: ClusterInfo | None = None
) -> dict[str, Any]:
    """Register every resource of a stack, and return its outputs.

    `info` describes the cluster of target `kubernetes`. By default, it is read from the
    cluster.
    """
    if isinstance(config, KubernetesConfig):
        from raylift.infra.kubernetes import program as kubernetes

        return kubernetes.build(
            config, stack, info or checked_cluster_info(config, stack)
        )
    if isinstance(config, AwsConfig):
        from raylift.infra.aws import program as aws

        return aws.build(config, stack)
    raise InvalidInput.at(
        "",
        "raylift:target: local is not supported by `pulumi up`",
        hint=f"run `raylift up -s {stack}`",
    )


def checked_cluster_info(config: KubernetesConfig, stack: str) -> ClusterInfo:
    """Return the description of the cluster.

    Raises:
        FailedPrecondition: The cluster does not meet a requirement.
    """
    from raylift.infra.kubernetes.cluster_info import read_cluster_info
    from raylift.infra.kubernetes.preflight import refuse_what_lacks

    info = read_cluster_info(config, stack)
    refuse_what_lacks(config, info)
    return info


def read_config(texts: Mapping[str, str]) -> StackConfig:
    """Return the configuration in a Pulumi program's settings.

    Pulumi passes every value as text: an object as JSON, a secret decrypted.

    Raises:
        InvalidInput: The configuration has errors. All of them are reported.
    """
    values = {key: _value(text) for key, text in texts.items()}
    config, problems = config_of(values, location=lambda _: "")
    if config is None:
        raise InvalidInput(*problems)
    return config


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
