"""Deploy, delete and restore applications: submit, watch, then close or roll back."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn, TypeVar

from raylift.errors import (
    FailedPrecondition,
    NotRolledBack,
    RayliftError,
    RolledBack,
    Unreachable,
)
from raylift.serve_runtime.deploy.plan import removal
from raylift.serve_runtime.deploy.prepare import running
from raylift.serve_runtime.deploy.watch import DeployFailed, watch
from raylift.serve_runtime.release import Submission
from raylift.serve_runtime.serve_config.splitters import refuse_deleted_arms
from raylift.serve_runtime.status.status import applications_of, imperative

if TYPE_CHECKING:
    from collections.abc import Callable

    from raylift.serve_runtime.cluster.local import LocalCluster
    from raylift.serve_runtime.cluster.protocol import Cluster
    from raylift.serve_runtime.deploy.convergence import Convergence
    from raylift.serve_runtime.deploy.prepare import Prepared
    from raylift.serve_runtime.deploy.watch import Observation
    from raylift.serve_runtime.release import Desired, Documents, Release

# A rollback has a separate deadline, because the deploy may have used up the user's.
_ROLLBACK_SECONDS = 120.0
_RESTORE_SECONDS = 60.0
FIX_AND_RETRY = "fix the new version, then deploy again"

T = TypeVar("T")


def deploy(convergence: Convergence, prepared: Prepared) -> Release | None:
    """Deploy a prepared plan; return None if it is a no-op.

    Raises:
        DeployFailed: The deploy is a no-op, but the data plane does not respond.
        RolledBack: The deploy failed, and the last good version is serving.
        NotRolledBack: The deploy failed, and so did the rollback.
    """
    documents = prepared.plan.documents
    if prepared.plan.nothing_to_do:
        convergence.reach(prepared.desired)
        return None
    cluster = convergence.cluster
    release = cluster.submit(Submission(documents, prepared.base, prepared.options))
    try:
        reached, _ = convergence.reach(release.documents, prepared.added)
    except DeployFailed as failed:
        _roll_back(convergence, release, cause=str(failed))
    release = replace(release, documents=reached)
    cluster.close(release, "good")
    return release


def delete(
    cluster: Cluster,
    names: list[str],
    *,
    timeout_s: float,
    on_change: Callable[[Observation], None],
) -> list[str]:
    """Delete applications after their open requests finish; return those that existed.

    Raises:
        Conflict: An application is being deployed, or a remaining splitter sends
            traffic to it.
        FailedPrecondition: Code created an application, and the target cannot delete
            it.
        RayliftError: An application still existed at the deadline.
    """
    # Before the check of splitters, because a canary changes their weights.
    cluster.refuse_busy(names)
    base = cluster.desired()
    details = cluster.dashboard.serve_details()
    if not cluster.deletes_imperative:
        _refuse_imperative(names, details)
    refuse_deleted_arms(names, running(base, details))
    deletable = _deletable(cluster, base, details)
    existing = [name for name in names if name in deletable]
    if not existing:
        return []
    documents = removal(existing).documents
    release = cluster.submit(Submission(documents, base))
    try:
        watch(cluster, documents, timeout_s=timeout_s, on_change=on_change)
    except DeployFailed as failed:
        cluster.close(release, "failed", str(failed))
        raise RayliftError(str(failed), hint=_status_of(cluster)) from None
    cluster.close(release, "good")
    return existing


def _refuse_imperative(names: list[str], details: dict[str, object]) -> None:
    if created := set(names) & set(imperative(details)):
        raise FailedPrecondition(
            f"application '{min(created)}' was created by serve.run in code",
            hint="delete it in code, with serve.delete",
        )


def _deletable(cluster: Cluster, base: Desired, details: dict[str, object]) -> set[str]:
    """Return the names of the applications that a delete can wait for.

    They include those of interrupted releases, which Ray may already be deleting.
    """
    live = {application.name for application in applications_of(details)}
    interrupted = (release.documents for release in cluster.unfinished())
    return live.union(base.applications, *interrupted)


def restore_applications(
    cluster: LocalCluster,
    *,
    restarted: bool,
    timeout_s: float,
    on_change: Callable[[Observation], None],
) -> None:
    """Wait after `up` until the desired state runs at the stack's address.

    Args:
        cluster: The cluster, whose dashboard responds.
        restarted: Whether its head was restarted.
        timeout_s: The maximum time to wait for the applications.
        on_change: Called with each change while waiting.

    Raises:
        RayliftError: The stack is up, but an application is not serving.
    """
    if not cluster.desired().applications:
        return
    if not restarted and not _has_moved(cluster):
        return
    documents = _retry_unreachable(cluster.reapply)
    if _has_moved(cluster):
        cluster.dashboard.stop_serve()
        documents = cluster.reapply()
    try:
        watch(cluster, documents, timeout_s=timeout_s, on_change=on_change)
    except DeployFailed as failed:
        raise RayliftError(
            f"the stack is up, but not every application is serving: {failed}",
            hint=f"{_status_of(cluster)}, then deploy again",
        ) from None


def _has_moved(cluster: LocalCluster) -> bool:
    return cluster.has_moved(_retry_unreachable(cluster.dashboard.serve_details))


def _retry_unreachable(call: Callable[[], T]) -> T:
    """Retry while Serve is being restored from Ray's storage and may not respond."""
    deadline = time.monotonic() + _RESTORE_SECONDS
    while True:
        try:
            return call()
        except Unreachable:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.2)


def _roll_back(convergence: Convergence, release: Release, *, cause: str) -> NoReturn:
    """Restore the last good documents, watch them, and report the failed deploy."""
    cluster = convergence.cluster
    try:
        good = cluster.desired().good
        documents = {name: good.get(name) for name in release.documents}
        cluster.rewrite(documents)
        watch(
            cluster,
            documents,
            timeout_s=_ROLLBACK_SECONDS,
            on_change=convergence.on_change,
        )
    except RayliftError as error:
        fail_rollback(cluster, release, cause=cause, error=error)
    cluster.close(release, "rolled back", cause)
    raise RolledBack(
        f"deploy failed: {cause}; {_rolled_back(documents)}", hint=FIX_AND_RETRY
    )


def _rolled_back(documents: Documents) -> str:
    """Return a line about the applications that a rollback restored or deleted."""
    old = sorted(name for name, document in documents.items() if document is not None)
    new = sorted(documents.keys() - set(old))
    results = []
    if old:
        verb = "is" if len(old) == 1 else "are"
        results.append(f"{', '.join(old)} {verb} serving the last good version")
    if new:
        results.append(f"deleted {', '.join(new)} (new in this release)")
    return f"rolled back: {'; '.join(results)}"


def fail_rollback(
    cluster: Cluster, release: Release, *, cause: str, error: RayliftError
) -> NoReturn:
    """Close a release whose rollback failed, and report both errors.

    Raises:
        NotRolledBack: always.
    """
    with contextlib.suppress(RayliftError):  # the next error names both causes
        cluster.close(release, "failed", f"{cause}; rollback failed: {error}")
    raise NotRolledBack(
        f"deploy failed: {cause}; rollback failed: {error}",
        hint=f"{_status_of(cluster)}, then deploy a version that worked",
    ) from None


def _status_of(cluster: Cluster) -> str:
    return f"run `raylift status -s {cluster.outputs.stack}`"
