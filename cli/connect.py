"""From a stack's name to its cluster."""

from __future__ import annotations

import contextlib
import operator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cli.output import terminal
from infra.local.stack import LocalStack
from infra.project import find_project, open_stack
from raylift.errors import CannotWork, InputFailed, RayliftError
from serve_runtime.dashboard import Dashboard
from serve_runtime.direct import Direct
from serve_runtime.local_cluster import LocalCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.engine import PulumiStack
    from infra.stack import Stack
    from serve_runtime.cluster import Cluster


def stack_here(name: str) -> Stack:
    """The stack of that name in the project that the current folder lies in."""
    return open_stack(find_project(here()), name)


@contextlib.contextmanager
def cluster_of(stack: Stack, *, look: bool = False) -> Iterator[Cluster]:
    """The cluster of a stack that is up.

    While another Ray cluster is to take over, `look` takes the one that serves; without
    it, that is waited for.
    """
    opened: contextlib.AbstractContextManager[Cluster] = (
        local_cluster_of(stack)
        if isinstance(stack, LocalStack)
        else _kubernetes_cluster_of(cast("PulumiStack", stack), look=look)
    )
    with opened as cluster:
        yield cluster


@contextlib.contextmanager
def local_cluster_of(stack: LocalStack) -> Iterator[LocalCluster]:
    """The cluster of a stack that is up on this machine.

    Raises:
        CannotWork: the stack was deleted meanwhile, whatever failed by that.
    """
    outputs = stack.outputs()
    with Dashboard(outputs, Direct(outputs)) as dashboard:
        try:
            yield LocalCluster(outputs, dashboard)
        except RayliftError:
            if stack.is_deleted():
                raise CannotWork(
                    f"stack '{stack.name}' was deleted meanwhile",
                    hint=f"raylift up -s {stack.name}",
                ) from None
            raise


@contextlib.contextmanager
def _kubernetes_cluster_of(stack: PulumiStack, *, look: bool) -> Iterator[Cluster]:
    from raylift.ray_service import RayService
    from serve_runtime.kubernetes_cluster import KubernetesCluster
    from serve_runtime.proxied import Proxied

    outputs = stack.outputs()
    with stack.api_server(outputs) as api:
        service = RayService(api, outputs.namespace, stack.name)
        which = operator.attrgetter("serving" if look else "newest")
        with (
            Dashboard(outputs, Proxied(service, outputs, which)) as dashboard,
            KubernetesCluster(outputs, dashboard, service) as cluster,
        ):
            if not look:
                cluster.settle(say=terminal.say)
            yield cluster


def here() -> Path:
    """The current folder.

    Raises:
        InputFailed: it is gone.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise InputFailed.at("current folder", "it was deleted") from None
