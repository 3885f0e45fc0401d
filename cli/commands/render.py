"""`raylift render`: manifests of a stack, for Argo CD, Flux and kubectl."""

from __future__ import annotations

import re
import sys
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString, SingleQuotedScalarString

from raylift.cli.connect import current_dir
from raylift.cli.output import terminal
from raylift.errors import InvalidInput
from raylift.infra.config.loader import warnings_of
from raylift.infra.kubernetes.config import KubernetesConfig
from raylift.infra.kubernetes.package_uri import store_name
from raylift.infra.project import find_project, load_config

_WIDE = 1 << 16  # never wrap a line
# Some tools read YAML 1.1, in which these are booleans, and 12:30 is a number.
_YAML_1_1 = re.compile(
    r"y|n|yes|no|on|off|[-+]?[\d_]+(:\d+)+(\.[\d_]*)?", re.IGNORECASE
)


def run(name: str) -> None:
    """Print the manifests of a stack as YAML, in the order in which to apply them."""
    project = find_project(current_dir())
    config = load_config(project, name)
    if not isinstance(config, KubernetesConfig):
        raise InvalidInput.at(
            f"stacks/Pulumi.{name}.yaml",
            f"raylift:target: must be kubernetes, not {config.target}",
        )
    from raylift.infra.kubernetes.render import manifests

    objects = manifests(config, name, project=project.name)
    for warning in warnings_of(config):
        terminal.say(f"warning: {warning}")
    if config.package_volume:
        secret = f"Secret '{store_name(name)}' with the key token"
        terminal.say(f"warning: the manifests do not contain {secret}")
    writer = YAML()
    writer.explicit_start = True
    writer.width = _WIDE
    writer.dump_all(_styled(objects), sys.stdout)


def _styled(value: Any) -> Any:  # noqa: ANN401 JSON
    """Return a value with styles for strings that need quotes or a block."""
    match value:
        case dict():
            return {_styled(key): _styled(item) for key, item in value.items()}
        case list():
            return [_styled(item) for item in value]
        case str() if _YAML_1_1.fullmatch(value):
            return SingleQuotedScalarString(value)
        case str() if "\n" in value:
            return LiteralScalarString(value)
        case _:
            return value
