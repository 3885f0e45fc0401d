"""Access to a stack by name and to its cluster; only here, the target matters."""

from __future__ import annotations

import contextlib
import operator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from raylift.cli.output import terminal
from raylift.errors import FailedPrecondition, InvalidInput, RayliftError
from raylift.infra.local.stack import LocalStack
from raylift.infra.project import find_project, open_serving, open_stack
from raylift.serve_runtime.cluster.local import LocalCluster
from raylift.serve_runtime.ray_api.dashboard import Dashboard
from raylift.serve_runtime.ray_api.loopback import Loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raylift.infra.engine.pulumi_stack import PulumiStack
    from raylift.infra.kubernetes.described_stack import DescribedStack
    from raylift.infra.stack import ServingStack, Stack
    from raylift.serve_runtime.cluster.protocol import Cluster


# For commands without `--timeout`.
_ANSWER_SECONDS = 300.0


def find_stack(name: str) -> Stack:
    """Return the stack with this name in the project of the current directory.

    Raises:
        InvalidInput: There is no such project or stack.
    """
    return open_stack(find_project(current_dir()), name)


def find_serving(name: str) -> ServingStack:
    """Return a stack like `find_stack`, but without Pulumi on target `kubernetes`."""
    return open_serving(find_project(current_dir()), name)


def local_stack(stack: ServingStack) -> LocalStack | None:
    """Return the stack if its target is `local`, else None."""
    return stack if isinstance(stack, LocalStack) else None


@contextlib.contextmanager
def cluster_of(
    stack: ServingStack, *, settled: bool = True, timeout_s: float = _ANSWER_SECONDS
) -> Iterator[Cluster]:
    """Open the cluster of a stack that is up.

    While KubeRay replaces the Ray cluster, wait for the new one. If `settled` is false,
    open the one that currently serves. `timeout_s` limits the wait for each response of
    a local dashboard that is alive.

    Raises:
        FailedPrecondition: The stack is not up.
    """
    local = local_stack(stack)
    opened: contextlib.AbstractContextManager[Cluster] = (
        local_cluster_of(local, timeout_s=timeout_s)
        if local
        else _kubernetes_cluster_of(
            cast("DescribedStack | PulumiStack", stack), settled=settled
        )
    )
    with opened as cluster:
        yield cluster


@contextlib.contextmanager
def local_cluster_of(
    stack: LocalStack, *, timeout_s: float = _ANSWER_SECONDS
) -> Iterator[LocalCluster]:
    """Open the cluster of a stack that is up on this machine.

    Raises:
        FailedPrecondition: The stack is not up, or the block failed because another
            command deleted it.
    """
    outputs = stack.outputs()
    loopback = Loopback(outputs, on_wait=terminal.say)
    with Dashboard(outputs, loopback, timeout_s=timeout_s) as dashboard:
        try:
            yield LocalCluster(outputs, dashboard)
        except RayliftError:
            if stack.is_deleted():
                raise FailedPrecondition(
                    f"stack '{stack.name}' was deleted by another command",
                    hint=f"run `raylift up -s {stack.name}`",
                ) from None
            raise


@contextlib.contextmanager
def _kubernetes_cluster_of(
    stack: DescribedStack | PulumiStack, *, settled: bool
) -> Iterator[Cluster]:
    from raylift.serve_runtime.cluster.kubernetes import KubernetesCluster
    from raylift.serve_runtime.ray_api.api_server_proxy import ApiServerProxy

    with stack.connect() as (outputs, service):
        which = operator.attrgetter("newest" if settled else "serving")
        with (
            Dashboard(outputs, ApiServerProxy(service, outputs, which)) as dashboard,
            KubernetesCluster(outputs, dashboard, service) as cluster,
        ):
            if settled:
                cluster.wait_until_settled(say=terminal.say)
            yield cluster


def current_dir() -> Path:
    """Return the current directory.

    Raises:
        InvalidInput: The directory was deleted.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise InvalidInput.at("current directory", "was deleted") from None
