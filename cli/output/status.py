"""The output of `status`."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from raylift.cli.output.terminal import out, state_text, table
from raylift.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from raylift.infra.kubernetes.stack_list import ListedStack
    from raylift.serve_runtime.status.status import (
        ApplicationStatus,
        ClusterStatus,
        DeploymentStatus,
    )


# Prefixes of labels that Ray and raylift set.
_SYSTEM_LABELS = ("ray.io/", "raylift.io/")


def show_status(status: ClusterStatus) -> None:
    """Print a status as tables."""
    out.print(status_view(status))


def status_view(status: ClusterStatus) -> Group:
    """Return a status as a renderable, which a live display can redraw."""
    head = Text(f"stack {status.stack}  Ray {status.ray_version}  {status.serve_url} ")
    silent = "not responding" if status.applications else "not serving yet"
    color = "red" if status.applications else "dim"
    head.append(
        "responding" if status.answering else silent,
        style="green" if status.answering else color,
    )
    parts: list[Any] = [head, Text(), _nodes_table(status), Text()]
    if status.applications:
        parts.append(_applications_table(status))
    else:
        parts.append(Text("no applications; run `raylift deploy`", style="dim"))
    parts += [Text(note, style="yellow") for note in status.notes]
    parts += [Text(f"! {problem}", style="red") for problem in status.problems]
    return Group(*parts)


def show_stacks(context: str, stacks: list[ListedStack]) -> None:
    """Print the stacks in the cluster of a context as a table."""
    if not stacks:
        out.print(Text(f"no stacks in the cluster of context {context}"))
        return
    rows = table("stack", "namespace", "project", "Ray", "applications")
    for stack in stacks:
        counts = ", ".join(f"{n} {s}" for s, n in sorted(stack.applications.items()))
        cells = (stack.name, stack.namespace, stack.project, stack.ray_version)
        rows.add_row(
            *(Text(printable(cell)) for cell in cells),
            Text(printable(stack.problem or counts or "none"), style=_style(stack)),
        )
    out.print(rows)


def _style(stack: ListedStack) -> str:
    return "red" if stack.problem else ""


def stacks_json(context: str, stacks: list[ListedStack]) -> dict[str, Any]:
    """Return the stacks as JSON. docs/reference/json.md describes the keys."""
    return {
        "version": 1,
        "context": context,
        "stacks": [dataclasses.asdict(stack) for stack in stacks],
    }


def watch_status(statuses: Iterable[ClusterStatus]) -> None:
    """Show each status in place of the previous one; in a pipe, below it."""
    if not out.is_terminal:
        for status in statuses:
            show_status(status)
        return
    from rich.live import Live

    with Live(console=out, auto_refresh=False, screen=False) as live:
        for status in statuses:
            live.update(status_view(status), refresh=True)


def _nodes_table(status: ClusterStatus) -> Table:
    rows = table("node", "resources", "labels", "proxy")
    for node in (node for node in status.nodes if node.alive):
        resources = {
            key: value
            for key, value in sorted(node.resources.items())
            if not key.startswith("node:") and key != "object_store_memory"
        }
        labels = {
            k: v for k, v in node.labels.items() if not k.startswith(_SYSTEM_LABELS)
        }
        rows.add_row(
            "head" if node.is_head else node.mark.rsplit(".", 1)[0] or node.node_id[:8],
            ", ".join(f"{k} {_amount(k, v)}" for k, v in resources.items()),
            ", ".join(f"{k}={v}" for k, v in sorted(labels.items())),
            state_text(status.proxies.get(node.node_id, "")),
        )
    return rows


def _applications_table(status: ClusterStatus) -> Table:
    rows = table("application", "route", "status", "deployment", "replicas")
    for a in status.applications:
        first = (a.name, a.route_prefix or "none", state_text(a.status))
        lines = [(d.name, replicas_text(d)) for d in a.deployments] or [("", "")]
        for index, row in enumerate(lines):
            rows.add_row(*(first if index == 0 else ("", "", "")), *row)
    return rows


def status_json(status: ClusterStatus) -> dict[str, Any]:
    """Return a status as JSON. docs/reference/json.md describes the keys."""
    return {
        "version": 1,
        "stack": status.stack,
        "healthy": not status.problems,
        **_fields(status, "problems notes ray_version serve_url answering"),
        "nodes": [
            {
                **_fields(node, "node_id head=is_head alive resources labels"),
                "proxy": status.proxies.get(node.node_id),
            }
            for node in status.nodes
        ],
        "applications": [_application_json(a) for a in status.applications],
        "unfinished_releases": [
            {**_fields(r, "number author"), "applications": sorted(r.documents)}
            for r in status.unfinished
        ],
    }


def _application_json(application: ApplicationStatus) -> dict[str, Any]:
    return {
        **_fields(application, "name status message route_prefix"),
        "deployments": [
            {
                **_fields(d, "name status message target_replicas=target"),
                "replicas": [
                    _fields(m, "id=replica_id state node_id pid") for m in d.members
                ],
            }
            for d in application.deployments
        ],
    }


def _fields(value: object, names: str) -> dict[str, Any]:
    """Return the named attributes; `key=attribute` uses another key."""
    pairs = (name.partition("=") for name in names.split())
    return {key: getattr(value, attribute or key) for key, _, attribute in pairs}


def replicas_text(deployment: DeploymentStatus) -> str:
    """Return `2 RUNNING`, or the count of each state and the target."""
    counts = " ".join(f"{n} {s}" for s, n in sorted(deployment.replicas.items()))
    running = deployment.replicas.get("RUNNING", 0)
    if running == deployment.target and len(deployment.replicas) <= 1:
        return f"{running} RUNNING"
    return f"{counts or 'none'} (target {deployment.target})"


def _amount(resource: str, value: float) -> str:
    return f"{value / (1 << 30):.1f} GiB" if "memory" in resource else f"{value:g}"
