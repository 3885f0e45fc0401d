"""What `up` shows."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Self

from rich.console import Group
from rich.live import Live
from rich.text import Text

from cli.output.terminal import SIGNS, err, out, plain_table
from raylift.outputs import ClusterOutputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from infra.stack import Change
    from raylift.outputs import StackOutputs

_ROWS = 20
NODE_ACTIONS = ("start", "stop", "restart")


def show_stack_changes(changes: Iterable[Change]) -> None:
    """What `up` does to nodes or resources."""
    for change in changes:
        sign, colour = SIGNS[change.action]
        reason = f"  ({change.reason})" if change.reason else ""
        node = "node " if change.action in NODE_ACTIONS else ""
        line = f"{sign} {change.action} {node}{change.what}{reason}"
        out.print(Text(line, style=colour))


def changes_json(changes: Iterable[Change]) -> dict[str, Any]:
    """A plan as JSON."""
    return {"version": 1, "changes": [dataclasses.asdict(c) for c in changes]}


def show_outputs(outputs: StackOutputs | ClusterOutputs) -> None:
    """Where a stack answers."""
    table = plain_table()
    if isinstance(outputs, ClusterOutputs):
        service = f"{outputs.serve_service}.{outputs.namespace}:8000"
        table.add_row("stack", f"{outputs.stack} ({outputs.target})")
        table.add_row("applications", f"Service {service} in the cluster")
        table.add_row("Ray", f"{outputs.ray_version}, token on")
        out.print(table)
        return
    table.add_row("stack", outputs.stack)
    table.add_row("applications", outputs.serve_url)
    table.add_row("dashboard", f"{outputs.dashboard_url} (token on)")
    table.add_row("Ray", f"{outputs.ray_version}, ingress {outputs.ingress}")
    out.print(table)


def outputs_json(outputs: StackOutputs | ClusterOutputs) -> dict[str, Any]:
    """Outputs without a token or a kubeconfig."""
    if isinstance(outputs, ClusterOutputs):
        shown = dataclasses.asdict(outputs)
        del shown["kubeconfig"]
        return {"version": 1, **shown}
    return {
        "version": 1,
        "stack": outputs.stack,
        "target": outputs.target,
        "serve_url": outputs.serve_url,
        "dashboard_url": outputs.dashboard_url,
        "ray_version": outputs.ray_version,
        "ingress": outputs.ingress,
    }


class Running:
    """What the engine works on at this moment, with seconds, below what is done.

    Off a terminal there are the lines of what is done alone.
    """

    def __init__(self, running: Callable[[], list[tuple[str, float]]]) -> None:
        self._running = running
        self._live = (
            Live(
                console=err,
                transient=True,
                get_renderable=self._rows,
                refresh_per_second=4,
            )
            if err.is_terminal
            else None
        )

    def __enter__(self) -> Self:
        """Begin to show."""
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave only what is done."""
        if self._live:
            self._live.stop()

    def _rows(self) -> Group:
        running = self._running()
        shown = [Text(f"  {s:4.0f} s  {what}", style="dim") for what, s in running]
        return Group(*shown[:_ROWS])
