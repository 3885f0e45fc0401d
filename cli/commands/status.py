"""`raylift status`: the health of a stack, its nodes and applications."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from raylift.cli.connect import cluster_of, find_serving
from raylift.cli.output import status as view
from raylift.cli.output import terminal
from raylift.errors import InvalidInput
from raylift.serve_runtime.cluster.read_status import read_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raylift.infra.stack import ServingStack
    from raylift.serve_runtime.cluster.protocol import Cluster
    from raylift.serve_runtime.status.status import ClusterStatus

_WATCH_SECONDS = 0.5


def run(stack_name: str, *, watch: bool, as_json: bool) -> None:
    """Show the status. Exit with 1 if there is a problem."""
    stack = find_serving(stack_name)
    with cluster_of(stack, settled=False) as cluster:
        if watch and not as_json:
            view.watch_status(_poll(cluster, stack))
        status = read_status(cluster, missing_nodes=stack.missing_nodes)
    if as_json:
        terminal.print_json(view.status_json(status))
    else:
        view.show_status(status)
    if status.problems:
        raise typer.Exit(1)


def run_all(*, watch: bool, as_json: bool) -> None:
    """Show the stacks in the kubeconfig's current cluster.

    Exit with 1 if one of them cannot be read.
    """
    if watch:
        raise InvalidInput.at("command line", "--all does not support --watch")
    from raylift.infra.kubernetes.stack_list import list_stacks

    context, stacks = list_stacks()
    if as_json:
        terminal.print_json(view.stacks_json(context, stacks))
    else:
        view.show_stacks(context, stacks)
    if any(stack.problem for stack in stacks):
        raise typer.Exit(1)


def _poll(cluster: Cluster, stack: ServingStack) -> Iterator[ClusterStatus]:
    while True:
        yield read_status(cluster, missing_nodes=stack.missing_nodes)
        time.sleep(_WATCH_SECONDS)
