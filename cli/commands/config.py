"""`raylift config`: check and show a stack file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.cli.connect import current_dir
from raylift.cli.output import terminal
from raylift.infra.project import find_project, load_config
from raylift.redaction import redacted

if TYPE_CHECKING:
    from raylift.infra.config.base import StackConfig


def run(stack: str, *, resolved: bool, as_json: bool) -> None:
    """Print the values in the stack file; with `resolved`, include default values."""
    config = load_config(find_project(current_dir()), stack)
    values = _without_secrets(config.resolved())
    values = values if resolved else _as_written(values, config)
    if as_json:
        terminal.print_json(values)
        return
    for line in _yaml(values):
        terminal.show(line)


def _without_secrets(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with redacted secrets in `ray.env`, which is plain text."""
    ray = dict(values["raylift:ray"])
    ray["env"] = redacted(ray["env"], ())
    return {**values, "raylift:ray": ray}


def _as_written(values: dict[str, Any], config: StackConfig) -> dict[str, Any]:
    written = {
        f"raylift:{key}" for key in config.model_dump(by_alias=True, exclude_unset=True)
    }
    return {k: v for k, v in values.items() if k in written or k.startswith("aws:")}


def _yaml(values: dict[str, Any]) -> list[str]:
    import io

    from ruamel.yaml import YAML

    stream = io.StringIO()
    writer = YAML()
    writer.default_flow_style = False
    writer.dump({"config": values}, stream)
    return stream.getvalue().splitlines()
