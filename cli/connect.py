"""From a stack's name to its cluster."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from infra.local.stack import LocalStack
from infra.project import find_project, open_stack
from raylift.errors import CannotWork, InputFailed, RayliftError
from serve_runtime.dashboard import Dashboard
from serve_runtime.local_cluster import LocalCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.stack import Stack
    from serve_runtime.cluster import Cluster


def stack_here(name: str) -> Stack:
    """The stack of that name in the project that the current folder lies in."""
    return open_stack(find_project(here()), name)


@contextlib.contextmanager
def cluster_of(stack: Stack) -> Iterator[Cluster]:
    """The cluster of a stack that is up.

    Raises:
        CannotWork: the stack was deleted meanwhile, whatever failed by that.
    """
    local = on_this_machine(stack)
    with Dashboard(local.outputs()) as dashboard:
        try:
            yield LocalCluster(dashboard.outputs, dashboard)
        except RayliftError:
            if local.is_deleted():
                raise CannotWork(
                    f"stack '{stack.name}' was deleted meanwhile",
                    hint=f"raylift up -s {stack.name}",
                ) from None
            raise


def on_this_machine(stack: Stack) -> LocalStack:
    """The stack, if it is of the one target that applications can be deployed to.

    Raises:
        CannotWork: it is of another.
    """
    if isinstance(stack, LocalStack):
        return stack
    raise CannotWork(
        f"stack '{stack.name}' is on target {stack.config.target}, where applications"
        " cannot be deployed or looked at yet",
        hint=f"raylift up and raylift delete -s {stack.name} work",
    )


def here() -> Path:
    """The current folder.

    Raises:
        InputFailed: it is gone.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise InputFailed.at("current folder", "it was deleted") from None
