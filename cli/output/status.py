"""What `status` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.text import Text

from cli.output.terminal import out, state_text, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from serve_runtime.status import ApplicationStatus, ClusterStatus, DeploymentStatus


# Labels that Ray and raylift give themselves.
_NOT_OWN = ("ray.io/", "raylift.io/")


def show_status(status: ClusterStatus) -> None:
    """A stack's status as tables."""
    out.print(status_view(status))


def status_view(status: ClusterStatus) -> Group:
    """A stack's status as something rich can draw again and again."""
    head = Text(f"stack {status.stack}  Ray {status.ray_version}  {status.serve_url} ")
    silent = "does not answer" if status.applications else "serves nothing yet"
    colour = "red" if status.applications else "dim"
    head.append(
        "answers" if status.answering else silent,
        style="green" if status.answering else colour,
    )
    parts: list[Any] = [head, Text(), _nodes_table(status), Text()]
    if status.applications:
        parts.append(_applications_table(status))
    else:
        parts.append(Text("no applications; raylift deploy", style="dim"))
    parts += [Text(note, style="yellow") for note in status.notes]
    parts += [Text(f"! {problem}", style="red") for problem in status.problems]
    return Group(*parts)


def watch_status(looks: Iterable[ClusterStatus]) -> None:
    """Draw each look over the last; lines off a terminal."""
    if not out.is_terminal:
        for look in looks:
            show_status(look)
        return
    from rich.live import Live

    with Live(console=out, auto_refresh=False, screen=False) as live:
        for look in looks:
            live.update(status_view(look), refresh=True)


def _nodes_table(status: ClusterStatus) -> Table:
    rows = table("node", "resources", "labels", "proxy")
    for node in (node for node in status.nodes if node.alive):
        resources = {
            key: value
            for key, value in sorted(node.resources.items())
            if not key.startswith("node:") and key != "object_store_memory"
        }
        own = {k: v for k, v in node.labels.items() if not k.startswith(_NOT_OWN)}
        rows.add_row(
            "head" if node.is_head else node.mark.rsplit(".", 1)[0] or node.node_id[:8],
            ", ".join(f"{k} {_amount(k, v)}" for k, v in resources.items()),
            ", ".join(f"{k}={v}" for k, v in sorted(own.items())),
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
    """A status for machines; the shape is in docs/status.md."""
    return {
        "version": 1,
        "stack": status.stack,
        "healthy": not status.problems,
        "problems": status.problems,
        "notes": list(status.notes),
        "ray_version": status.ray_version,
        "serve_url": status.serve_url,
        "answering": status.answering,
        "nodes": [
            {
                "node_id": n.node_id,
                "head": n.is_head,
                "alive": n.alive,
                "resources": n.resources,
                "labels": n.labels,
                "proxy": status.proxies.get(n.node_id),
            }
            for n in status.nodes
        ],
        "applications": [_application_json(a) for a in status.applications],
        "unfinished_releases": [
            {
                "number": r.number,
                "author": r.author,
                "applications": sorted(r.documents),
            }
            for r in status.unfinished
        ],
    }


def _application_json(application: ApplicationStatus) -> dict[str, Any]:
    return {
        "name": application.name,
        "status": application.status,
        "message": application.message,
        "route_prefix": application.route_prefix,
        "deployments": [
            {
                "name": d.name,
                "status": d.status,
                "message": d.message,
                "target_replicas": d.target,
                "replicas": [
                    {
                        "id": m.replica_id,
                        "state": m.state,
                        "node_id": m.node_id,
                        "pid": m.pid,
                    }
                    for m in d.members
                ],
            }
            for d in application.deployments
        ],
    }


def replicas_text(deployment: DeploymentStatus) -> str:
    """`2 RUNNING`, or each state with its count and the target."""
    counts = " ".join(f"{n} {s}" for s, n in sorted(deployment.replicas.items()))
    running = deployment.replicas.get("RUNNING", 0)
    if running == deployment.target and len(deployment.replicas) <= 1:
        return f"{running} RUNNING"
    return f"{counts or 'none'} of {deployment.target}"


def _amount(resource: str, value: float) -> str:
    return f"{value / (1 << 30):.1f} GiB" if "memory" in resource else f"{value:g}"
