"""plan → upload → submit → watch → verify → done, or back to the last good release."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from raylift.errors import NotRolledBack, RayliftError, RolledBack, Unreachable
from serve_runtime import preflight
from serve_runtime.capacity import free_resources
from serve_runtime.defaults import Added, add_defaults
from serve_runtime.plan import Plan, plan, removal, same_document
from serve_runtime.status import applications_of
from serve_runtime.watch import DeployFailed, Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from serve_runtime.cluster import Cluster
    from serve_runtime.config import Application, ServeConfig
    from serve_runtime.release import Desired, Release
    from serve_runtime.watch import Seen

# After a failed deploy the old version needs its own time to serve again.
_ROLLBACK_SECONDS = 120.0
_COMING_BACK_SECONDS = 60.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a deploy will do, complete but for the doing."""

    plan: Plan
    wanted: dict[str, dict[str, Any]]
    base: Desired
    options: dict[str, Any]
    added: list[Added] = field(default_factory=list)
    sent_bytes: int = 0


def prepare(
    cluster: Cluster,
    config: ServeConfig,
    *,
    prune: bool,
    defaults: bool,
) -> Prepared:
    """Pack the code and compare; writes nothing but code packages.

    Raises:
        CannotWork: no node can ever hold a replica, or an option of the Serve
            instance cannot change while it runs.
        InputFailed: a directory may not be shipped as it is.
    """
    preflight.refuse_other_ray(cluster.outputs)
    base = cluster.desired()
    details = cluster.dashboard.serve_details()
    there = _there(base, details)
    nodes = cluster.dashboard.nodes()
    preflight.refuse_changed_options(config.options, details)
    preflight.refuse_moved(cluster.outputs, details)
    preflight.refuse_taken_port(cluster.outputs, details)
    free = free_resources(nodes, applications_of(details))
    wanted: dict[str, dict[str, Any]] = {}
    added: list[Added] = []
    sent = 0
    for application in config.applications:
        preflight.refuse_infeasible(application, nodes)
        shipped, size = _upload(cluster, _with_logging(application, config.options))
        sent += size
        if defaults:
            kept = there.get(shipped.name)
            shipped, new = _with_defaults(shipped, kept, free=free)
            added += new
        wanted[shipped.name] = shipped.document
    decided = plan(wanted, there, unsettled=_unsettled(cluster, details), prune=prune)
    preflight.refuse_taken_routes(decided, there)
    return Prepared(decided, wanted, base, config.options, added, sent)


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
        watch = Watch(
            cluster.dashboard,
            prepared.wanted,
            timeout_s=timeout_s,
            on_change=on_change,
        )
        watch.until_done()
        return None
    release = cluster.submit(documents, base=prepared.base, options=prepared.options)
    watch = Watch(
        cluster.dashboard, documents, timeout_s=timeout_s, on_change=on_change
    )
    try:
        watch.until_done()
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
        RayliftError: one was still there at the deadline.
    """
    base = cluster.desired()
    live = applications_of(cluster.dashboard.serve_details())
    there = {a.name for a in live if a.source != "imperative"}
    # One whose delete was cut off may be on its way out: it is waited for as well.
    there.update(*(release.documents for release in cluster.unfinished()))
    found = [name for name in names if name in there]
    if not found:
        return []
    documents = removal(found).documents
    release = cluster.submit(documents, base=base, options={})
    watch = Watch(
        cluster.dashboard, documents, timeout_s=timeout_s, on_change=on_change
    )
    try:
        watch.until_done()
    except DeployFailed as failed:
        cluster.close(release, "failed", str(failed))
        raise RayliftError(str(failed), hint="raylift status") from None
    cluster.close(release, "good")
    return found


def settle(
    cluster: Cluster,
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
    watch = Watch(
        cluster.dashboard, documents, timeout_s=timeout_s, on_change=on_change
    )
    try:
        watch.until_done()
    except DeployFailed as failed:
        text = f"the stack is up, but does not serve all it should: {failed}"
        raise RayliftError(text, hint="raylift status, then raylift deploy") from None


def _has_moved(cluster: Cluster) -> bool:
    details = _patiently(cluster.dashboard.serve_details)
    return preflight.has_moved(cluster.outputs, details)


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
        documents = cluster.restore(release)
        watch = Watch(
            cluster.dashboard,
            documents,
            timeout_s=_ROLLBACK_SECONDS,
            on_change=on_change,
        )
        watch.until_done()
    except RayliftError as error:
        cluster.close(release, "failed", f"{cause}; going back: {error}")
        raise NotRolledBack(
            f"deploy failed: {cause}; and going back failed: {error}",
            hint="raylift status; then deploy a version that worked",
        ) from None
    cluster.close(release, "rolled back", cause)
    new = sorted(name for name, document in documents.items() if document is None)
    old = sorted(name for name, document in documents.items() if document is not None)
    outcome = [f"the last good version of {', '.join(old)} serves again"] if old else []
    outcome += [f"removed, since new: {', '.join(new)}"] if new else []
    raise RolledBack(f"deploy failed: {cause}", hint="; ".join(outcome))


def _there(base: Desired, details: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What runs now; where the live document has drifted, it and not ours counts."""
    live = {
        a.name: a.deployed
        for a in applications_of(details)
        if a.deployed is not None and a.status != "DELETING"
    }
    ours = base.applications
    return {
        name: ours[name]
        if name in ours and same_document(document, ours[name])
        else document
        for name, document in live.items()
    }


def _unsettled(cluster: Cluster, details: dict[str, Any]) -> frozenset[str]:
    """Applications that do not serve, or whose last deploy was cut off."""
    waiting = {a.name for a in applications_of(details) if a.status != "RUNNING"}
    return frozenset(waiting.union(*(r.documents for r in cluster.unfinished())))


def _with_logging(application: Application, options: dict[str, Any]) -> Application:
    """The file's logging_config in each application, as Ray would copy it itself.

    Then deploying one file does not change the logging of another's applications.
    """
    logging = options.get("logging_config")
    if not logging or "logging_config" in application.document:
        return application
    document = {**application.document, "logging_config": logging}
    return application.with_document(document)


def _upload(cluster: Cluster, application: Application) -> tuple[Application, int]:
    if application.directory is None:
        return application, 0
    uri, size = cluster.upload(application.directory, place=application.place)
    document = copy.deepcopy(application.document)
    document["runtime_env"]["working_dir"] = uri
    return application.with_document(document), size


def _with_defaults(
    application: Application, there: dict[str, Any] | None, *, free: dict[str, float]
) -> tuple[Application, list[Added]]:
    """The application with its defaults; one that has them already keeps them.

    Otherwise a cluster that has filled up since would turn every later deploy of the
    same file into a change.
    """

    def fits(needed: dict[str, float], replicas: int) -> bool:
        copies = 1 if there else replicas + 1
        return all(free.get(r, 0) >= copies * amount for r, amount in needed.items())

    for room in (lambda *_: True, lambda *_: False):
        found = add_defaults(application, room_for=room)
        if same_document(there, found[0].document):
            return found
    return add_defaults(application, room_for=fits)
