"""Statuses as they change, until every touched application is what was wanted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raylift.errors import Busy, RayliftError, Unreachable
from serve_runtime import probe
from serve_runtime.capacity import free_resources, missing, short_of
from serve_runtime.diagnosis import own_stack_line, why
from serve_runtime.plan import same_document
from serve_runtime.status import ApplicationStatus, applications_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from serve_runtime.cluster import Cluster, Holdup
    from serve_runtime.dashboard import Node
    from serve_runtime.status import DeploymentStatus

# Often at first, as new weights are live in 0.2 s; then so that Ray can work.
_SHORTEST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.02, 0.1
# Hundreds of processes that start at once keep a small machine, and the dashboard, busy
# for minutes; a question that is given up and asked again makes it worse.
_BUSY_SECONDS = 60.0
_UNHEALTHY_SECONDS = 10.0
_STUCK_SECONDS = 10.0
_INFEASIBLE_SECONDS = 1.5
_UNPLACED_SECONDS = 2.0


class DeployFailed(RayliftError):
    """An application cannot become what was wanted; the message is the cause."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the touched applications; `causes` says what holds one up."""

    applications: tuple[ApplicationStatus, ...]
    causes: dict[str, str]
    seconds: float


def watch(
    cluster: Cluster,
    documents: Mapping[str, dict[str, Any] | None],
    *,
    timeout_s: float,
    on_change: Callable[[Seen], None] = lambda _: None,
) -> None:
    """Return when Ray runs and serves `documents`; None: when it is gone.

    Raises:
        DeployFailed: it cannot be, or was not in time.
        Unreachable: the dashboard was silent for some seconds.
    """
    _Watch(cluster, documents, timeout_s=timeout_s, on_change=on_change).until_done()


class _Watch:
    """Waits for `documents` (None: gone) to be what Ray runs and serves."""

    def __init__(
        self,
        cluster: Cluster,
        documents: Mapping[str, dict[str, Any] | None],
        *,
        timeout_s: float,
        on_change: Callable[[Seen], None],
    ) -> None:
        self._cluster = cluster
        self._dashboard = cluster.dashboard
        self._documents = documents
        self._timeout = timeout_s
        self._on_change = on_change
        self._began = time.monotonic()
        self._since: dict[tuple[str, str], float] = {}
        self._everything: tuple[ApplicationStatus, ...] = ()
        self._nodes: list[Node] = []
        self._could: list[Node] = []
        self._nodes_read = float("-inf")
        self._holdup: Holdup | None = None
        self._asked = float("-inf")

    def until_done(self) -> None:
        """Return when all is as wanted and routed."""
        before: object = None
        while True:
            looked = time.monotonic()
            applications = self._look()
            took = time.monotonic() - looked
            if self._all_done(applications):
                self._until_routed()
                return
            self._ask_others(applications)
            causes = self._causes(applications)
            seen = Seen(applications, causes, time.monotonic() - self._began)
            state = _summary(applications), tuple(sorted(causes.items()))
            if state != before:
                self._on_change(seen)
                before = state
            self._judge(applications, causes)
            # Never more than half of Ray's time goes into answering us.
            time.sleep(max(took, self._pause()))

    def _pause(self) -> float:
        waited = time.monotonic() - self._began
        return min(_LONGEST_POLL_SECONDS, max(_SHORTEST_POLL_SECONDS, waited / 20))

    def _look(self) -> tuple[ApplicationStatus, ...]:
        silent = time.monotonic() + self._cluster.silent_for_s
        wait_s = None
        while True:
            try:
                found = applications_of(self._dashboard.serve_details(wait_s))
            except Unreachable as error:
                wait_s = _BUSY_SECONDS if isinstance(error, Busy) else None
                deadline = self._began + self._timeout if wait_s else silent
                if time.monotonic() >= deadline:
                    raise Unreachable(
                        f"lost Ray's dashboard while deploying: {error}",
                        hint="what is served may go on; raylift status, then the same"
                        " command again",
                    ) from None
                time.sleep(0.3)
            else:
                self._everything = found
                return tuple(a for a in found if a.name in self._documents)

    def _all_done(self, applications: tuple[ApplicationStatus, ...]) -> bool:
        found = {application.name: application for application in applications}
        return all(
            name not in found
            if document is None
            else _serves(found.get(name), document)
            for name, document in self._documents.items()
        )

    def _ask_others(self, applications: tuple[ApplicationStatus, ...]) -> None:
        """Who but Ray holds it up, where Ray has not got it or has no place for it."""
        got = {a.name for a in applications if self._is_ours(a)}
        wanted = {name for name, doc in self._documents.items() if doc is not None}
        unplaced = any(d.unplaced for a in applications for d in a.deployments)
        waits = unplaced or not wanted <= got
        if self._lasts(("", "others"), waits) <= _UNPLACED_SECONDS:
            self._holdup = None
        elif time.monotonic() - self._asked > 1:
            self._asked = time.monotonic()
            try:
                self._holdup = self._cluster.holdup(handed_over=wanted <= got)
            except RayliftError:  # whoever may not see it goes without
                self._holdup = None

    def _causes(self, applications: tuple[ApplicationStatus, ...]) -> dict[str, str]:
        others = self._holdup.text if self._holdup else ""
        wanted = (name for name, doc in self._documents.items() if doc is not None)
        causes = dict.fromkeys(wanted, others) if others else {}
        for application in applications:
            if self._documents[application.name] is None:
                continue
            if any(d.unplaced for d in application.deployments):
                self._read_nodes()
            # Of a replica without a place Ray says only that it has none.
            told = self._waiting(application) if self._holdup else ""
            cause = (
                told
                or why(application, self._nodes, self._could)
                or self._waiting(application)
                or self._stuck(application)
            )
            if cause:
                causes[application.name] = cause
        return causes

    def _judge(
        self, applications: tuple[ApplicationStatus, ...], causes: dict[str, str]
    ) -> None:
        if self._holdup and self._holdup.final:
            raise DeployFailed(self._holdup.text)
        for application in applications:
            name = application.name
            if self._documents[name] is None:
                continue
            cause = causes.get(name, "")
            if application.status == "DEPLOY_FAILED" and self._is_ours(application):
                raise DeployFailed(f"{name}: {cause or 'Ray gave no reason'}")
            unhealthy = application.status == "UNHEALTHY"
            if self._lasts((name, "unhealthy"), unhealthy) > _UNHEALTHY_SECONDS:
                raise DeployFailed(f"{name}: unhealthy: {cause or 'no reason given'}")
            hopeless = any(
                d.unplaced and missing(d.needs, self._nodes, self._could)
                for d in application.deployments
            )
            if self._lasts((name, "hopeless"), hopeless) > _INFEASIBLE_SECONDS:
                raise DeployFailed(f"{name}: {cause}")
        if time.monotonic() - self._began >= self._timeout:
            raise DeployFailed(self._too_late(applications, causes))

    def _is_ours(self, application: ApplicationStatus) -> bool:
        document = self._documents[application.name]
        return document is not None and same_document(application.deployed, document)

    def _lasts(self, key: tuple[str, str], holds: bool) -> float:  # noqa: FBT001
        if not holds:
            self._since.pop(key, None)
            return 0.0
        return time.monotonic() - self._since.setdefault(key, time.monotonic())

    def _waiting(self, application: ApplicationStatus) -> str:
        """A replica that fits a node, but not beside what already runs there."""
        for deployment in application.deployments:
            key = (application.name, f"unplaced {deployment.name}")
            if self._lasts(key, deployment.unplaced) > _UNPLACED_SECONDS:
                free = free_resources(self._nodes, self._everything)
                if lack := short_of(deployment.needs, free):
                    others = f"; {self._holdup.text}" if self._holdup else ""
                    return f"{deployment.name}: a replica waits for {lack}{others}"
        return ""

    def _stuck(self, application: ApplicationStatus) -> str:
        """A constructor that takes its time, and the line it is in."""
        for deployment in application.deployments:
            starting = [
                m for m in deployment.members if m.state == "STARTING" and m.pid
            ]
            key = (application.name, f"starting {deployment.name}")
            seconds = self._lasts(key, bool(starting))
            if seconds > _STUCK_SECONDS:
                line = self._stack_line(deployment)
                where = f" at {line}" if line else ""
                return f"{deployment.name}: still in its constructor{where}"
        return ""

    def _stack_line(self, deployment: DeploymentStatus) -> str:
        for member in deployment.members:
            if member.state == "STARTING" and member.pid and member.node_id:
                try:
                    text = self._dashboard.stack_trace(member.node_id, member.pid)
                except RayliftError:
                    return ""
                return own_stack_line(text)
        return ""

    def _too_late(
        self, applications: tuple[ApplicationStatus, ...], causes: dict[str, str]
    ) -> str:
        waiting = [
            name
            for name, document in self._documents.items()
            if not any(
                a.name == name and document and _serves(a, document)
                for a in applications
            )
        ]
        name = next((n for n in waiting if n in causes), waiting[0])
        if self._documents[name] is None:
            return f"{name}: not gone after {self._timeout:g} s"
        cause = causes.get(name) or _summary_of(name, applications)
        return f"{name}: not RUNNING after {self._timeout:g} s: {cause}"

    def _until_routed(self) -> None:
        """The proxy learns of a route a moment after Ray says RUNNING."""
        wanted = {
            name
            for name, document in self._documents.items()
            if document and document.get("route_prefix", "/") is not None
        }
        deadline = time.monotonic() + self._cluster.routed_within_s
        while wanted:
            found = probe.routes(self._dashboard.transport)
            if found is not None and wanted <= set(found.values()):
                return
            if time.monotonic() >= deadline:
                state = "does not answer" if found is None else "does not route to it"
                raise DeployFailed(
                    f"{min(wanted)}: RUNNING, but the data plane at"
                    f" {self._dashboard.outputs.serve_url} {state}"
                )
            time.sleep(0.02)

    def _read_nodes(self) -> None:
        if time.monotonic() - self._nodes_read < 1:
            return
        self._nodes_read = time.monotonic()
        try:
            self._nodes = self._dashboard.nodes()
            self._could = self._cluster.could_join(self._nodes)
        except RayliftError:
            self._nodes, self._could = [], []


def _serves(
    application: ApplicationStatus | None, document: dict[str, Any] | None
) -> bool:
    return (
        application is not None
        and document is not None
        and application.status == "RUNNING"
        and bool(application.deployments)
        and same_document(application.deployed, document)
    )


def _summary(applications: tuple[ApplicationStatus, ...]) -> tuple[object, ...]:
    return tuple(
        (a.name, a.status, d.name, tuple(sorted(d.replicas.items())))
        for a in applications
        for d in a.deployments or (None,)
        if d is not None
    ) + tuple((a.name, a.status) for a in applications)


def _summary_of(name: str, applications: tuple[ApplicationStatus, ...]) -> str:
    for application in applications:
        if application.name == name:
            states = [
                f"{d.name} {count} {state}"
                for d in application.deployments
                for state, count in sorted(d.replicas.items())
            ]
            return ", ".join(states) or f"it is {application.status}"
    return "Ray does not know it"
