"""Preparation of a deploy, before it changes the cluster."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raylift.serve_runtime.deploy import preflight
from raylift.serve_runtime.deploy.defaults import Added, add_defaults
from raylift.serve_runtime.deploy.plan import Plan, plan, same_document
from raylift.serve_runtime.packaging.splitter_bundle import splitter_code
from raylift.serve_runtime.serve_config.splitters import (
    is_splitter,
    refuse_deleted_arms,
    refuse_grpc_arm,
    refuse_missing_arms,
)
from raylift.serve_runtime.status.capacity import free_resources
from raylift.serve_runtime.status.status import applications_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from raylift.serve_runtime.cluster.protocol import Cluster
    from raylift.serve_runtime.release import Desired
    from raylift.serve_runtime.serve_config.config import Application, ServeConfig


@dataclass(frozen=True, slots=True)
class Prepared:
    """A deploy that is ready for submission.

    `desired` contains the documents in the config by application, `running` those that
    are running. `base` is the desired state that the plan is based on, `options` are
    the top-level options of the config, and `added` are the defaults added to it.
    """

    plan: Plan
    desired: dict[str, dict[str, Any]]
    running: dict[str, dict[str, Any]]
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
    """Check a config, upload its code and plan the changes.

    Only code packages are written.

    Raises:
        FailedPrecondition: No node can ever hold a replica, or an option of Serve
            cannot change while it runs.
        InvalidInput: A directory cannot be uploaded.
    """
    preflight.refuse_other_ray(cluster.outputs)
    base = cluster.desired()
    details = cluster.dashboard.serve_details()
    current = running(base, details)
    nodes = cluster.dashboard.nodes()
    preflight.refuse_changed_options(config.options, details)
    cluster.refuse_other_address(details)
    # The old version keeps serving while a potential node starts.
    potential = cluster.potential_nodes(nodes)
    for application in config.applications:
        preflight.refuse_without_servicer(application, config.options, details)
        preflight.refuse_infeasible(application, nodes, potential)
    applications, sent_bytes = _upload_all(cluster, config)
    added: list[Added] = []
    if defaults:
        free = free_resources([*nodes, *potential], applications_of(details))
        applications, added = _with_defaults(applications, current, free=free)
    desired = {each.name: each.document for each in applications}
    unsettled = _unsettled(cluster, base, details)
    decided = plan(desired, current, unsettled=unsettled, prune=prune)
    preflight.refuse_taken_routes(decided, current)
    refuse_bad_arms(decided, current, config.applications)
    return Prepared(decided, desired, current, base, config.options, added, sent_bytes)


def refuse_bad_arms(
    decided: Plan,
    current: dict[str, dict[str, Any]],
    applications: Sequence[Application] = (),
) -> None:
    """Check splitters and their arms in the state after the plan.

    Raises:
        Conflict: An application with traffic is deleted.
        InvalidInput: An arm of a changed splitter is missing, or one of the
            `applications` is an arm but can be reached only through gRPC.
    """
    deleted = [name for name, document in decided.documents.items() if document is None]
    after = current | {
        n: doc for n, doc in decided.documents.items() if doc is not None
    }
    refuse_deleted_arms(deleted, after)
    after = {name: doc for name, doc in after.items() if name not in deleted}
    refuse_missing_arms(decided.documents, after)
    for each in applications:
        if each.facts.no_http:
            refuse_grpc_arm(each.name, after, location=each.location)


def running(base: Desired, details: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the running documents by application.

    If the document in Ray is equal to the one in `base`, the latter is returned.
    """
    live = {
        a.name: a.deployed
        for a in applications_of(details)
        if a.deployed is not None and a.status != "DELETING"
    }
    recorded = base.applications
    return {
        name: recorded[name]
        if name in recorded and same_document(document, recorded[name])
        else document
        for name, document in live.items()
    }


def _unsettled(
    cluster: Cluster, base: Desired, details: dict[str, Any]
) -> frozenset[str]:
    """Return the applications that do not serve their desired document.

    They include those whose last deploy was interrupted.
    """
    applications = applications_of(details)
    waiting = {a.name for a in applications if a.status != "RUNNING"}
    drifted = {
        a.name
        for a in applications
        if a.name in base.applications
        and not same_document(a.deployed, base.applications[a.name])
    }
    interrupted = (release.documents for release in cluster.unfinished())
    return frozenset(waiting.union(drifted, *interrupted))


def _with_logging(application: Application, options: dict[str, Any]) -> Application:
    """Copy the config's `logging_config` into the application, as Ray would.

    The deploy of one config therefore does not affect the logging of other
    applications.
    """
    logging = options.get("logging_config")
    if not logging or "logging_config" in application.document:
        return application
    document = {**application.document, "logging_config": logging}
    return application.with_document(document)


def _upload_all(cluster: Cluster, config: ServeConfig) -> tuple[list[Application], int]:
    """Upload the code of all applications; return them and the number of bytes sent."""
    uploads = [
        _upload(cluster, _with_logging(application, config.options))
        for application in config.applications
    ]
    return [application for application, _ in uploads], sum(n for _, n in uploads)


def _upload(cluster: Cluster, application: Application) -> tuple[Application, int]:
    """Upload the code of an application, if it has any, and set its URI."""
    document = application.document
    has_code = bool((document.get("runtime_env") or {}).get("working_dir"))
    if cluster.ships_splitter and is_splitter(document) and not has_code:
        with splitter_code() as directory:
            return _upload_directory(cluster, application, directory)
    if application.directory is None:
        return application, 0
    return _upload_directory(cluster, application, application.directory)


def _upload_directory(
    cluster: Cluster, application: Application, directory: Path
) -> tuple[Application, int]:
    document = copy.deepcopy(application.document)
    environment = document.get("runtime_env") or {}
    # Ray applies `excludes` only to a local directory, and ignores them for a package.
    excludes = environment.pop("excludes", None) or ()
    uri, size = cluster.upload(
        directory, location=application.location, excludes=excludes
    )
    document["runtime_env"] = {**environment, "working_dir": uri}
    return application.with_document(document), size


def _with_defaults(
    applications: list[Application],
    current: dict[str, dict[str, Any]],
    *,
    free: dict[str, float],
) -> tuple[list[Application], list[Added]]:
    """Add the defaults to all applications; return them and the added defaults."""
    results = [
        _with_same_defaults(each, current.get(each.name), free=free)
        for each in applications
    ]
    added = [default for _, defaults in results for default in defaults]
    return [application for application, _ in results], added


def _with_same_defaults(
    application: Application, current: dict[str, Any] | None, *, free: dict[str, float]
) -> tuple[Application, list[Added]]:
    """Add the defaults; an application that already has them keeps them.

    Otherwise, deploying the same config to a full cluster would not be a no-op.
    """

    def fits(needed: dict[str, float], replicas: int) -> bool:
        copies = 1 if current else replicas + 1
        return all(free.get(r, 0) >= copies * amount for r, amount in needed.items())

    variants = [
        add_defaults(application, room_for=lambda *_: True),
        add_defaults(application, room_for=lambda *_: False),
        (application, []),  # after a withdrawal
    ]
    for variant in variants:
        if same_document(current, variant[0].document):
            return variant
    return add_defaults(application, room_for=fits)
