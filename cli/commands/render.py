"""`raylift render`: manifests of a stack, for Argo CD, Flux and kubectl."""

from __future__ import annotations

import sys

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import walk_tree

from raylift.cli.connect import current_dir
from raylift.cli.output import terminal
from raylift.errors import InvalidInput
from raylift.infra.config.loader import warnings_of
from raylift.infra.kubernetes.config import KubernetesConfig
from raylift.infra.project import find_project, load_config

_WIDE = 1 << 16  # never wrap a line


def run(name: str) -> None:
    """Print the manifests of a stack as YAML, in the order in which to apply them."""
    project = find_project(current_dir())
    config = load_config(project, name)
    if not isinstance(config, KubernetesConfig):
        raise InvalidInput.at(
            str(project.stack_file(name)),
            f"raylift:target: {config.target} cannot be rendered, only kubernetes",
        )
    from raylift.infra.kubernetes.render import manifests, missing_secret

    objects = manifests(config, name, project=project.name)
    for warning in warnings_of(config):
        terminal.say(f"warning: {warning}")
    if secret := missing_secret(config, name):
        terminal.say(f"warning: create Secret '{secret}' with a random value for token")
    walk_tree(objects)  # writes text of several lines as a block
    writer = YAML()
    writer.explicit_start = True
    writer.width = _WIDE
    writer.dump_all(objects, sys.stdout)
