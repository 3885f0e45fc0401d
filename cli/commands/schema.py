"""`raylift schema`: print the JSON Schema of a stack file."""

from __future__ import annotations

from raylift.cli.output import terminal
from raylift.infra.config.json_schema import schema


def run() -> None:
    """Print the JSON Schema of a stack file."""
    terminal.print_json(schema())
