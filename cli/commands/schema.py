"""`raylift schema`: what an editor needs to complete and check a stack file."""

from __future__ import annotations

from cli.output import terminal
from infra.schema import schema


def run() -> None:
    """Print the JSON Schema of a stack file."""
    terminal.print_json(schema())
