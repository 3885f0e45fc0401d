"""plan → upload → submit → watch → verify → done, or back to the last good release."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, NoReturn, TypeVar

from raylift.errors import NotRolledBack, RayliftError, RolledBack, Unreachable
from serve_runtime.plan import removal
from serve_runtime.prepare import running
from serve_runtime.status import applications_of
from serve_runtime.traffic.documents import refuse_deleted_arms
from serve_runtime.watch import DeployFailed, watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_runtime.cluster import Cluster
    from serve_runtime.local_cluster import LocalCluster
    from serve_runtime.prepare import Prepared
    from serve_runtime.release import Release
    from serve_runtime.watch import Seen

# After a failed deploy the old version needs its own time to serve again.
_ROLLBACK_SECONDS = 120.0
_COMING_BACK_SECONDS = 60.0

T = TypeVar("T")


def deploy(
    cluster: Cluster,
    prepared: Prepared,
    *,
    timeout_s: float,
    on_change: Callable[[Seen], None],
) -> Release | None:
    """Do what was prepared; None when there was nothing to do.

    Raises:
        DeployFailed: there was nothing to do, but the data plane does not answer.
        RolledBack: it failed with this cause; what served before serves again.
        NotRolledBack: it failed, and going back failed too.
    """
    documents = prepared.plan.documents
    if prepared.plan.nothing_to_do:
        watch(cluster, prepared.wanted, timeout_s=timeout_s, on_change=on_change)
        return None
    release = cluster.submit(documents, base=prepared.base, options=prepared.options)
    try:
        watch(cluster, documents, timeout_s=timeout_s, on_change=on_change)
    except DeployFailed as failed:
        _go_back(cluster, release, cause=str(failed), on_change=on_change)
    cluster.close(release, "good")
    return release


def delete(
    cluster: Cluster,
    names: list[str],
    *,
    timeout_s: float,
    on_change: Callable[[Seen], None],
) -> list[str]:
    """Take applications away; requests in flight finish. Returns those that existed.

    Raises:
        Conflict: one is being deployed, or a splitter that stays sends it traffic.
        RayliftError: one was still there at the deadline.
    """
    # Before its splitter is looked at: a canary shifts that one's weights.
    cluster.refuse_busy(names)
    base = cluster.desired()
    details = cluster.dashboard.serve_details()
    refuse_deleted_arms(names, running(base, details))
    live = applications_of(details)
    there = {a.name for a in live if a.source != "imperative"}
    there.update(base.applications)
    # One whose delete was cut off may be on its way out: it is waited for as well.
    there.update(*(release.documents for release in cluster.unfinished()))
    found = [name for name in names if name in there]
    if not found:
        return []
    documents = removal(found).documents
    release = cluster.submit(documents, base=base, options={})
    try:
        watch(cluster, documents, timeout_s=timeout_s, on_change=on_change)
    except DeployFailed as failed:
        cluster.close(release, "failed", str(failed))
        raise RayliftError(str(failed), hint="raylift status") from None
    cluster.close(release, "good")
    return found


def settle(
    cluster: LocalCluster,
    *,
    restarted: bool,
    timeout_s: float,
    on_change: Callable[[Seen], None],
) -> None:
    """After `up`: what is desired runs, and at the stack's own address.

    Args:
        cluster: The cluster, whose dashboard answers.
        restarted: Whether its head is new; its applications are then awaited.
        timeout_s: How long they may take.
        on_change: Told of each change while waiting.

    Raises:
        RayliftError: the stack is up, but does not serve what it should.
    """
    if not cluster.desired().applications:
        return
    if not restarted and not _has_moved(cluster):
        return
    documents = _patiently(cluster.reapply)
    if _has_moved(cluster):
        cluster.dashboard.stop_serve()
        documents = cluster.reapply()
    try:
        watch(cluster, documents, timeout_s=timeout_s, on_change=on_change)
    except DeployFailed as failed:
        text = f"the stack is up, but does not serve all it should: {failed}"
        raise RayliftError(text, hint="raylift status, then raylift deploy") from None


def _has_moved(cluster: LocalCluster) -> bool:
    return cluster.has_moved(_patiently(cluster.dashboard.serve_details))


def _patiently(ask: Callable[[], T]) -> T:
    """While Serve comes back from Ray's storage it may not answer at once."""
    deadline = time.monotonic() + _COMING_BACK_SECONDS
    while True:
        try:
            return ask()
        except Unreachable:
            if time.monotonic() >= deadline:
                raise
            time.sleep(0.2)


def _go_back(
    cluster: Cluster,
    release: Release,
    *,
    cause: str,
    on_change: Callable[[Seen], None],
) -> NoReturn:
    try:
        good = cluster.desired().good
        documents = {name: good.get(name) for name in release.documents}
        cluster.rewrite(documents)
        watch(
            cluster,
            documents,
            timeout_s=_ROLLBACK_SECONDS,
            on_change=on_change,
        )
    except RayliftError as error:
        give_up(cluster, release, cause=cause, error=error)
    cluster.close(release, "rolled back", cause)
    new = sorted(name for name, document in documents.items() if document is None)
    old = sorted(name for name, document in documents.items() if document is not None)
    outcome = [f"the last good version of {', '.join(old)} serves again"] if old else []
    outcome += [f"removed, since new: {', '.join(new)}"] if new else []
    raise RolledBack(f"deploy failed: {cause}", hint="; ".join(outcome))


def give_up(
    cluster: Cluster, release: Release, *, cause: str, error: RayliftError
) -> NoReturn:
    """What served before does not come back: say both reasons.

    Raises:
        NotRolledBack: always.
    """
    with contextlib.suppress(RayliftError):  # both reasons are told
        cluster.close(release, "failed", f"{cause}; going back: {error}")
    raise NotRolledBack(
        f"deploy failed: {cause}; and going back failed: {error}",
        hint="raylift status; then deploy a version that worked",
    ) from None
