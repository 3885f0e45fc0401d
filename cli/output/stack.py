"""The output of `up` and `preview`."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from raylift.cli.output.terminal import SIGNS, live, out, plain_table
from raylift.outputs import KubernetesOutputs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from raylift.infra.stack import RunningStep, StackChange
    from raylift.outputs import LocalOutputs

NODE_ACTIONS = ("start", "stop", "restart")


def show_stack_changes(changes: Iterable[StackChange]) -> None:
    """Print changes to nodes or resources."""
    for change in changes:
        sign, color = SIGNS[change.action]
        reason = f"  ({change.reason})" if change.reason else ""
        node = "node " if change.action in NODE_ACTIONS else ""
        line = f"{sign} {change.action} {node}{change.what}{reason}"
        out.print(Text(line, style=color))


def changes_json(changes: Iterable[StackChange]) -> dict[str, Any]:
    """Return changes as JSON."""
    return {"version": 1, "changes": [dataclasses.asdict(c) for c in changes]}


def show_outputs(outputs: LocalOutputs | KubernetesOutputs) -> None:
    """Print the addresses of a stack."""
    table = plain_table()
    if isinstance(outputs, KubernetesOutputs):
        table.add_row("stack", f"{outputs.stack} ({outputs.target})")
        table.add_row("applications", f"{outputs.serve_url} in the cluster")
        table.add_row("Ray", f"{outputs.ray_version}, token authentication")
        out.print(table)
        return
    table.add_row("stack", outputs.stack)
    table.add_row("applications", outputs.serve_url)
    table.add_row("dashboard", f"{outputs.dashboard_url} (requires a token)")
    table.add_row("Ray", f"{outputs.ray_version}, ingress {outputs.ingress}")
    out.print(table)


def outputs_json(outputs: LocalOutputs | KubernetesOutputs) -> dict[str, Any]:
    """Return outputs as JSON, without the token and the kubeconfig."""
    if isinstance(outputs, KubernetesOutputs):
        shown = dataclasses.asdict(outputs)
        del shown["kubeconfig"]
        return {"version": 1, **shown}
    names = ["stack", "target", "serve_url", "dashboard_url", "ray_version", "ingress"]
    return {"version": 1, **{name: getattr(outputs, name) for name in names}}


def live_tree(
    steps: Callable[[], list[RunningStep]], planned: Iterable[StackChange] = ()
) -> AbstractContextManager[object]:
    """Show the running steps on a terminal, grouped by kind, while a block runs.

    `planned` contains the changes that make up the total of each group.
    """
    totals = Counter(_family(change.what.split()[0]) for change in planned)
    return live(lambda: tree(steps(), totals))


def tree(steps: Iterable[RunningStep], totals: Mapping[str, int]) -> Group:
    """Return a row for each group of kinds and one for each unfinished resource.

    It is empty when all steps are done, because the rest does not use the engine.
    """
    families: dict[str, list[RunningStep]] = {family: [] for family in totals}
    for step in steps:
        families.setdefault(_family(step.kind), []).append(step)
    rows, finished = [], True
    for family, members in sorted(families.items()):
        done = sum(step.is_done for step in members)
        total = max(len(members), totals.get(family, 0))
        finished = finished and done == total
        style = "green" if done == total else "" if members else "dim"
        rows.append(Text(f"{family}  {done} of {total}", style=style))
        rows += [
            Text(f"  {step.seconds:4.0f} s  {_short(step)}", style="yellow")
            for step in members
            if not step.is_done
        ]
    return Group(*([] if finished else rows))


def _family(kind: str) -> str:
    """Return `aws:ec2` for aws:ec2/vpc:Vpc."""
    return kind.rpartition(":")[0].partition("/")[0]


def _short(step: RunningStep) -> str:
    return f"{step.kind.rpartition(':')[2]} {step.name}"
