"""`raylift config`: the stack file, checked and shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.connect import stack_here
from cli.output import terminal

if TYPE_CHECKING:
    from infra.config import StackConfig


def run(stack: str, *, resolved: bool, as_json: bool) -> None:
    """Print the configuration; with `resolved`, every default as well."""
    config = stack_here(stack).config
    values = config.resolved() if resolved else _as_written(config.resolved(), config)
    if as_json:
        terminal.print_json(values)
        return
    for line in _yaml(values):
        terminal.show(line)


def _as_written(values: dict[str, Any], config: StackConfig) -> dict[str, Any]:
    given = {
        f"raylift:{key}" for key in config.model_dump(by_alias=True, exclude_unset=True)
    }
    return {k: v for k, v in values.items() if k in given or k.startswith("aws:")}


def _yaml(values: dict[str, Any]) -> list[str]:
    import io

    from ruamel.yaml import YAML

    stream = io.StringIO()
    writer = YAML()
    writer.default_flow_style = False
    writer.dump({"config": values}, stream)
    return stream.getvalue().splitlines()
