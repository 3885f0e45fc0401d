"""`raylift status`: Ray's word, the ledger's and the data plane's, side by side."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from cli.connect import cluster_of, stack_here
from cli.output import status as view
from cli.output import terminal
from infra.local.stack import LocalStack
from serve_runtime import probe
from serve_runtime.status import ClusterStatus, applications_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.stack import Stack
    from serve_runtime.cluster import Cluster
    from serve_runtime.dashboard import Node

_WATCH_SECONDS = 0.5


def run(stack_name: str, *, watch: bool, as_json: bool) -> None:
    """Show the status; exit 1 if anything is not well."""
    stack = stack_here(stack_name)
    with cluster_of(stack, look=True) as cluster:
        if watch and not as_json:
            view.watch_status(_looks(cluster, stack))
        look = look_at(cluster, stack)
    if as_json:
        terminal.print_json(view.status_json(look))
    else:
        view.show_status(look)
    if look.problems:
        raise typer.Exit(1)


def look_at(cluster: Cluster, stack: Stack) -> ClusterStatus:
    """One look: what Ray says, and what the data plane does."""
    details = cluster.dashboard.serve_details()
    routes = probe.routes(cluster.dashboard.transport)
    nodes = tuple(cluster.dashboard.nodes())
    return ClusterStatus(
        stack=cluster.outputs.stack,
        ray_version=cluster.outputs.ray_version,
        serve_url=cluster.outputs.serve_url,
        answering=routes is not None,
        routed=frozenset((routes or {}).values()),
        proxies={
            node: item.get("status", "")
            for node, item in (details.get("proxies") or {}).items()
        },
        nodes=nodes,
        applications=applications_of(details),
        unfinished=tuple(cluster.unfinished()),
        notes=tuple(cluster.notes()),
        missing_nodes=_missing(stack, nodes),
    )


def _missing(stack: Stack, nodes: tuple[Node, ...]) -> tuple[str, ...]:
    """Nodes of a local stack that are not there; elsewhere they come and go."""
    if not isinstance(stack, LocalStack):
        return ()
    lost = set(stack.outputs().nodes) - {node.mark for node in nodes}
    # Ray takes a dead node for alive for 10 s; its port tells at once.
    silent = set(stack.silent_nodes())
    return tuple(sorted({mark.rsplit(".", 1)[0] for mark in lost} | silent))


def _looks(cluster: Cluster, stack: Stack) -> Iterator[ClusterStatus]:
    while True:
        yield look_at(cluster, stack)
        time.sleep(_WATCH_SECONDS)
