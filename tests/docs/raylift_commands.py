"""The command line as it is: its commands and their options."""

from __future__ import annotations

import typer

from raylift.cli.main import app


def options_of() -> dict[str, set[str]]:
    """Return the options of each command, such as `-s` and `--stack`."""
    group = typer.main.get_command(app)
    return {
        name: {"--help", *(opt for p in command.params for opt in p.opts)}
        for name, command in group.commands.items()
    } | {"--version": set()}
