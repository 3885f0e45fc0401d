"""A Serve config against a cluster → what a deploy will do, but for the doing."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from serve_runtime import preflight
from serve_runtime.capacity import free_resources
from serve_runtime.defaults import Added, add_defaults
from serve_runtime.plan import Plan, plan, same_document
from serve_runtime.status import applications_of
from serve_runtime.traffic.code import splitter_code
from serve_runtime.traffic.documents import (
    is_splitter,
    refuse_deleted_arms,
    refuse_missing_arms,
)

if TYPE_CHECKING:
    from pathlib import Path

    from serve_runtime.cluster import Cluster
    from serve_runtime.config import Application, ServeConfig
    from serve_runtime.release import Desired


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a deploy will do; `there` is what runs now, `wanted` what the file says."""

    plan: Plan
    wanted: dict[str, dict[str, Any]]
    there: dict[str, dict[str, Any]]
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
    there = running(base, details)
    nodes = cluster.dashboard.nodes()
    preflight.refuse_changed_options(config.options, details)
    cluster.refuse_other_address(details)
    could = cluster.could_join(nodes)  # while one comes, the old version serves
    free = free_resources([*nodes, *could], applications_of(details))
    wanted: dict[str, dict[str, Any]] = {}
    added: list[Added] = []
    sent = 0
    for application in config.applications:
        preflight.refuse_without_servicer(application, config.options, details)
        preflight.refuse_infeasible(application, nodes, could)
        shipped, size = _upload(cluster, _with_logging(application, config.options))
        sent += size
        if defaults:
            kept = there.get(shipped.name)
            shipped, new = _with_defaults(shipped, kept, free=free)
            added += new
        wanted[shipped.name] = shipped.document
    decided = plan(
        wanted, there, unsettled=_unsettled(cluster, base, details), prune=prune
    )
    preflight.refuse_taken_routes(decided, there)
    refuse_bad_arms(decided, there)
    return Prepared(decided, wanted, there, base, config.options, added, sent)


def refuse_bad_arms(decided: Plan, there: dict[str, dict[str, Any]]) -> None:
    """Splitters must have their arms after the change, and arms their splitters."""
    gone = [name for name, document in decided.documents.items() if document is None]
    after = there | {n: doc for n, doc in decided.documents.items() if doc is not None}
    refuse_deleted_arms(gone, after)
    after = {name: doc for name, doc in after.items() if name not in gone}
    refuse_missing_arms(decided.documents, after)


def running(base: Desired, details: dict[str, Any]) -> dict[str, dict[str, Any]]:
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


def _unsettled(
    cluster: Cluster, base: Desired, details: dict[str, Any]
) -> frozenset[str]:
    """Applications that do not serve, or serve what nobody wants any more.

    And those whose last deploy was cut off.
    """
    found = applications_of(details)
    waiting = {a.name for a in found if a.status != "RUNNING"}
    waiting |= {
        a.name
        for a in found
        if a.name in base.applications
        and not same_document(a.deployed, base.applications[a.name])
    }
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
    document = application.document
    has_code = bool((document.get("runtime_env") or {}).get("working_dir"))
    if cluster.ships_splitter and is_splitter(document) and not has_code:
        with splitter_code() as directory:
            return _uploaded(cluster, application, directory)
    if application.directory is None:
        return application, 0
    return _uploaded(cluster, application, application.directory)


def _uploaded(
    cluster: Cluster, application: Application, directory: Path
) -> tuple[Application, int]:
    uri, size = cluster.upload(directory, place=application.place)
    document = copy.deepcopy(application.document)
    environment = document.get("runtime_env") or {}
    document["runtime_env"] = {**environment, "working_dir": uri}
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
