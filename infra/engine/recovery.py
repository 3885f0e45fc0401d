"""Recovery of a stack whose last run was interrupted.

Pulumi records that a create was pending, but not the resource's ID. Creating the
resource again would either fail because its name is taken, or leave an orphaned
resource that costs money. Recovery therefore looks it up in AWS or the cluster and adds
it to the state.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from raylift.errors import RayliftError
from raylift.infra.engine.operation import read
from raylift.infra.engine.pending_operations import (
    describe_pending,
    interrupted_creates,
    interrupted_deletes,
    interrupted_updates,
    mark_unusable,
    recorded,
    resolve_pending,
    resources_of,
    unrefreshed,
    unusable,
)
from raylift.infra.engine.stale_lock import locked
from raylift.infra.kubernetes.recovery import CHART, KubernetesRecovery
from raylift.kube_api import Api
from raylift.kubeconfig import access, access_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pulumi.automation import Deployment, Stack

    from raylift.infra.aws.recovery import AwsRecovery
    from raylift.infra.engine.operation import Operation
    from raylift.infra.stack import Say

    _Recovery = AwsRecovery | KubernetesRecovery | None
    _RecoveryOf = Callable[[dict[str, Any]], _Recovery]


def recover(api: Stack, say: Say, *, operation: Callable[[], Operation]) -> None:
    """Complete the pending operations of an interrupted run.

    Interrupted deletes are repeated first, because `up` keeps resources that the state
    records.

    Raises:
        Conflict: The interrupted run is still running.
        PermissionDenied, Unreachable: AWS or the cluster cannot be queried.
    """
    state = read(api, api.export_stack)
    for pending in describe_pending(state):
        if not pending.startswith("creating"):
            say(
                f"an interrupted run was {pending}:"
                " repeating that operation if necessary"
            )
    state = _remove(api, state, interrupted_deletes(state), operation)
    state = _import_creates(api, state, say, operation)
    _release_charts(api.name, state)
    state = _remove(api, state, unusable(state), operation)
    if urns := unrefreshed(state):
        operation().run(api.refresh, target=urns)


def _remove(
    api: Stack, state: Deployment, urns: list[str], operation: Callable[[], Operation]
) -> Deployment:
    """Delete the resources and return the new state."""
    if not urns:
        return state
    _destroy(api, urns, operation)
    return read(api, api.export_stack)


def _destroy(api: Stack, urns: list[str], operation: Callable[[], Operation]) -> None:
    """Refresh, then delete the resources.

    Helm fails to delete a release that no longer exists, so refresh first. The engine
    rejects URNs that the refresh removed; retry with the rest.
    """
    try:
        operation().run(api.destroy, target=urns, refresh=True)
    except RayliftError:
        remaining = recorded(read(api, api.export_stack), urns)
        if remaining == urns:
            raise
        if remaining:
            _destroy(api, remaining, operation)


def _import_creates(
    api: Stack, state: Deployment, say: Say, operation: Callable[[], Operation]
) -> Deployment:
    """Add existing resources of interrupted creates to the state and clear the rest.

    Raises:
        Conflict: The state changed during the lookup.
    """
    if not describe_pending(state):
        return state
    found = _find_interrupted(api.name, state, say)
    if read(api, api.export_stack).deployment != state.deployment:
        raise locked(api.name, "")
    state = resolve_pending(state, found)
    operation().call(api.import_stack, state)
    return state


def _find_interrupted(
    stack: str, state: Deployment, say: Say
) -> list[tuple[str, dict[str, Any]]]:
    """Return the interrupted creates that may exist, with their IDs.

    Waits until AWS has finished creating them.
    """
    with _recoveries(stack, state) as recovery_of:
        return list(_found(state, recovery_of, say))


def _found(
    state: Deployment, recovery_of: _RecoveryOf, say: Say
) -> Iterator[tuple[str, dict[str, Any]]]:
    known = {each["id"] for each in resources_of(state) if each.get("id")}
    for description, resource in interrupted_creates(state).items():
        recovery = recovery_of(resource)
        kind, inputs = resource["type"], resource.get("inputs", {})
        ident = recovery.find(kind, inputs, known) if recovery else None
        prefix = f"an interrupted run was {description}"
        if recovery is None or ident is None:
            say(f"{prefix}: not found, recreating it")
            continue
        say(f"{prefix}: importing {ident}, if it still exists")
        known.add(ident)
        usable = recovery.becomes_usable(kind, ident)
        yield ident, resource if usable else mark_unusable(resource)


def _release_charts(stack: str, state: Deployment) -> None:
    """Unlock the Helm releases whose update was interrupted."""
    charts = [each for each in interrupted_updates(state) if each["type"] == CHART]
    with _recoveries(stack, state) as recovery_of:
        for chart in charts:
            if isinstance(recovery := recovery_of(chart), KubernetesRecovery):
                recovery.free(chart["inputs"])


@contextlib.contextmanager
def _recoveries(stack: str, state: Deployment) -> Iterator[_RecoveryOf]:
    """Yield a function that returns the lookup in the provider of a resource.

    Each provider is opened once, on first use.
    """
    providers = {f"{r['urn']}::{r.get('id')}": r for r in resources_of(state)}
    with contextlib.ExitStack() as opened:
        recovery = functools.cache(
            lambda reference: _open(stack, providers.get(reference), opened)
        )
        yield lambda resource: recovery(resource.get("provider", ""))


def _open(
    stack: str, provider: dict[str, Any] | None, opened: contextlib.ExitStack
) -> _Recovery:
    if provider is None:
        return None
    if provider["type"] == "pulumi:providers:aws":
        # Target `kubernetes` must work without boto3.
        from raylift.infra.aws.recovery import AwsRecovery

        return AwsRecovery(provider)
    if provider["type"] == "pulumi:providers:kubernetes":
        api = opened.enter_context(Api(_access(provider["inputs"])))
        return KubernetesRecovery(stack, api)
    return None


def _access(inputs: dict[str, Any]) -> Any:  # noqa: ANN401 lightkube's SingleConfig
    kubeconfig = inputs.get("kubeconfig")
    if kubeconfig and kubeconfig.startswith("{"):
        return access_by(kubeconfig)
    return access(kubeconfig, inputs.get("context"))
