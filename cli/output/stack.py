"""What `up` shows."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from cli.output.terminal import SIGNS, live, out, plain_table
from raylift.outputs import ClusterOutputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from infra.stack import Change, Working
    from raylift.outputs import StackOutputs

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
        table.add_row("stack", f"{outputs.stack} ({outputs.target})")
        table.add_row("applications", f"{outputs.serve_url} in the cluster")
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


def live_tree(
    working: Callable[[], list[Working]], planned: Iterable[Change] = ()
) -> AbstractContextManager[object]:
    """What the engine works on, below the kinds of resources, while a block runs.

    `planned` say how many of a kind there will be. Off a terminal there are the lines
    of what is done alone.
    """
    wanted = Counter(_family(change.what.split()[0]) for change in planned)
    return live(lambda: tree(working(), wanted))


def tree(working: Iterable[Working], wanted: Mapping[str, int]) -> Group:
    """A row for each family of kinds, and one for each resource that is not done.

    Empty where all of it is done: what follows is not the engine's.
    """
    families: dict[str, list[Working]] = {family: [] for family in wanted}
    for each in working:
        families.setdefault(_family(each.kind), []).append(each)
    rows, finished = [], True
    for family, members in sorted(families.items()):
        done = sum(each.is_done for each in members)
        total = max(len(members), wanted.get(family, 0))
        finished = finished and done == total
        style = "green" if done == total else "" if members else "dim"
        rows.append(Text(f"{family}  {done} of {total}", style=style))
        rows += [
            Text(f"  {each.seconds:4.0f} s  {_short(each)}", style="yellow")
            for each in members
            if not each.is_done
        ]
    return Group(*([] if finished else rows))


def _family(kind: str) -> str:
    """`aws:ec2` of aws:ec2/vpc:Vpc."""
    return kind.rpartition(":")[0].partition("/")[0]


def _short(each: Working) -> str:
    return f"{each.kind.rpartition(':')[2]} {each.name}"
