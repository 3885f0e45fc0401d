"""What `up` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from cli.output.terminal import SIGNS, out, plain_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.stack import Change
    from raylift.outputs import StackOutputs


def show_stack_changes(changes: Iterable[Change]) -> None:
    """What `up` does to nodes."""
    for change in changes:
        sign, colour = SIGNS[change.action]
        reason = f"  ({change.reason})" if change.reason else ""
        line = f"{sign} {change.action} node {change.what}{reason}"
        out.print(Text(line, style=colour))


def show_outputs(outputs: StackOutputs) -> None:
    """Where a stack answers."""
    table = plain_table()
    table.add_row("stack", outputs.stack)
    table.add_row("applications", outputs.serve_url)
    table.add_row("dashboard", f"{outputs.dashboard_url} (token on)")
    table.add_row("Ray", f"{outputs.ray_version}, ingress {outputs.ingress}")
    out.print(table)


def outputs_json(outputs: StackOutputs) -> dict[str, Any]:
    """StackOutputs without its token."""
    return {
        "version": 1,
        "stack": outputs.stack,
        "target": outputs.target,
        "serve_url": outputs.serve_url,
        "dashboard_url": outputs.dashboard_url,
        "ray_version": outputs.ray_version,
        "ingress": outputs.ingress,
    }
