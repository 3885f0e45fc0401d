"""Reasons why applications do not run their documents, and whether they are fatal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylift.errors import RayliftError
from raylift.serve_runtime.deploy.plan import same_document
from raylift.serve_runtime.status.capacity import free_resources, missing, short_of
from raylift.serve_runtime.status.control_loop import ControlLoop
from raylift.serve_runtime.status.diagnosis import own_stack_line, slow_start, why
from raylift.serve_runtime.status.timers import Durations, Interval
from raylift.serve_runtime.status.worker_exit import (
    CRASHED,
    DIED,
    import_exit,
    replica_exit,
)

if TYPE_CHECKING:
    from raylift.serve_runtime.cluster.protocol import Blocker, Cluster
    from raylift.serve_runtime.ray_api.dashboard import RayNode
    from raylift.serve_runtime.release import Documents
    from raylift.serve_runtime.status.status import ApplicationStatus, DeploymentStatus

_UNHEALTHY_SECONDS = 10.0
_CONSTRUCTOR_SECONDS = 10.0
_INFEASIBLE_SECONDS = 1.5
_UNPLACED_SECONDS = 2.0
_STALLED_SECONDS = 5.0


class Causes:
    """The causes that keep applications from running their documents."""

    def __init__(self, cluster: Cluster, documents: Documents) -> None:
        self._cluster = cluster
        self._documents = documents
        self._nodes = _Nodes(cluster)
        self._durations = Durations()
        self._control_loop = ControlLoop(cluster.dashboard)
        self._blocker: Blocker | None = None
        self._blocker_pace = Interval()

    def find(self, applications: tuple[ApplicationStatus, ...]) -> dict[str, str]:
        """Return the cause for each application, if known.

        `applications` are those of the whole cluster.
        """
        awaited = [a for a in applications if self._documents.get(a.name) is not None]
        self._read_blocker(awaited)
        text = self._blocker.text if self._blocker else ""
        causes = dict.fromkeys(self._desired(), text) if text else {}
        for application in awaited:
            if cause := self._cause(application, applications):
                causes[application.name] = cause
        return causes

    def fatal(
        self, applications: tuple[ApplicationStatus, ...], causes: dict[str, str]
    ) -> str:
        """Return why an application will never run, or an empty string.

        `causes` is what `find` returned for these applications.
        """
        if self._blocker and self._blocker.final:
            return self._blocker.text
        for application in applications:
            if self._documents.get(application.name) is None:
                continue
            cause = causes.get(application.name, "")
            if failure := self._failure(application, cause):
                return f"{application.name}: {failure}"
        return ""

    def has_document(self, application: ApplicationStatus) -> bool:
        """Return whether Ray has received the document of an application."""
        document = self._documents[application.name]
        return document is not None and same_document(application.deployed, document)

    # -- causes --------------------------------------------------------------

    def _cause(
        self,
        application: ApplicationStatus,
        applications: tuple[ApplicationStatus, ...],
    ) -> str:
        if any(d.unplaced for d in application.deployments):
            self._nodes.refresh()
        # A blocker comes first, because Ray only reports that a replica has no node.
        return (
            (self._no_room(application, applications) if self._blocker else "")
            or self._exit(application)
            or why(application, self._nodes.existing, self._nodes.potential)
            or self._no_room(application, applications)
            or self._slow_constructor(application)
            or self._stalled(application)
            or slow_start(application)
        )

    def _exit(self, application: ApplicationStatus) -> str:
        """Explain a process that exited by what it wrote last."""
        dashboard = self._cluster.dashboard
        try:
            if CRASHED in application.message:
                return import_exit(dashboard, application.name)
            for deployment in application.deployments:
                if DIED in deployment.message:
                    name = deployment.name
                    if text := replica_exit(dashboard, application.name, name):
                        return f"{name}: {text}"
        except RayliftError:
            pass
        return ""

    def _no_room(
        self,
        application: ApplicationStatus,
        applications: tuple[ApplicationStatus, ...],
    ) -> str:
        """Explain a replica that would fit an empty node, but not one in use."""
        for deployment in application.deployments:
            key = (application.name, f"unplaced {deployment.name}")
            if self._durations.lasts(key, deployment.unplaced) > _UNPLACED_SECONDS:
                free = self._nodes.available() or free_resources(
                    self._nodes.existing, applications
                )
                if lack := short_of(deployment.needs, free):
                    blocker = f"; {self._blocker.text}" if self._blocker else ""
                    return (
                        f"{deployment.name}: a replica is waiting for {lack}{blocker}"
                    )
        return ""

    def _slow_constructor(self, application: ApplicationStatus) -> str:
        """Explain a slow constructor by the line that it is executing."""
        for deployment in application.deployments:
            key = (application.name, f"starting {deployment.name}")
            starting = any(m.state == "STARTING" and m.pid for m in deployment.members)
            if self._durations.lasts(key, starting) > _CONSTRUCTOR_SECONDS:
                line = self._stack_line(deployment)
                where = f" at {line}" if line else ""
                return f"{deployment.name}: still in its constructor{where}"
        return ""

    def _stalled(self, application: ApplicationStatus) -> str:
        """Explain an application that stays DEPLOYING although its replicas run."""
        runs = application.status == "DEPLOYING" and all(
            set(deployment.replicas) == {"RUNNING"}
            for deployment in application.deployments
        )
        stalled = runs and bool(application.deployments)
        key = (application.name, "stalled")
        if self._durations.lasts(key, stalled) <= _STALLED_SECONDS:
            return ""
        try:
            return self._control_loop.error()
        except RayliftError:
            return ""

    def _stack_line(self, deployment: DeploymentStatus) -> str:
        for member in deployment.members:
            if member.state == "STARTING" and member.pid and member.node_id:
                try:
                    trace = self._cluster.dashboard.stack_trace(
                        member.node_id, member.pid
                    )
                except RayliftError:
                    return ""
                return own_stack_line(trace)
        return ""

    # -- blockers ------------------------------------------------------------

    def _read_blocker(self, awaited: list[ApplicationStatus]) -> None:
        """Read the blocker if Ray lacks a document, a deployment of it, or a node."""
        delivered = self._desired() <= {a.name for a in awaited if self.has_document(a)}
        unplaced = any(d.unplaced for a in awaited for d in a.deployments)
        # Ray rejects some configs after it has recorded the documents.
        empty = any(a.status == "DEPLOYING" and not a.deployments for a in awaited)
        waits = unplaced or empty or not delivered
        if self._durations.lasts(("", "blocked"), waits) <= _UNPLACED_SECONDS:
            self._blocker = None
        elif self._blocker_pace.is_due():
            try:
                self._blocker = self._cluster.blocker(delivered=delivered)
            except RayliftError:  # the credentials may not permit reading pods
                self._blocker = None

    def _desired(self) -> set[str]:
        return {name for name, doc in self._documents.items() if doc is not None}

    # -- failures ------------------------------------------------------------

    def _failure(self, application: ApplicationStatus, cause: str) -> str:
        failed = application.status == "DEPLOY_FAILED"
        if failed and self.has_document(application):
            return cause or "Ray gave no reason"
        key = (application.name, "unhealthy")
        unhealthy = application.status == "UNHEALTHY"
        if self._durations.lasts(key, unhealthy) > _UNHEALTHY_SECONDS:
            return f"unhealthy: {cause or 'Ray gave no reason'}"
        key = (application.name, "infeasible")
        infeasible = self._is_infeasible(application)
        if self._durations.lasts(key, infeasible) > _INFEASIBLE_SECONDS:
            return cause or "no node can hold a replica"
        return ""

    def _is_infeasible(self, application: ApplicationStatus) -> bool:
        return any(
            deployment.unplaced
            and missing(deployment.needs, self._nodes.existing, self._nodes.potential)
            for deployment in application.deployments
        )


class _Nodes:
    """The nodes of the cluster, read at most once per second."""

    def __init__(self, cluster: Cluster) -> None:
        self.existing: list[RayNode] = []
        self.potential: list[RayNode] = []
        self._available: dict[str, float] = {}
        self._cluster = cluster
        self._pace, self._pace_of_available = Interval(), Interval()

    def refresh(self) -> None:
        """Read the nodes if that was not done within the last second."""
        if not self._pace.is_due():
            return
        try:
            self.existing = self._cluster.dashboard.nodes()
            self.potential = self._cluster.potential_nodes(self.existing)
        except RayliftError:
            self.existing, self.potential = [], []

    def available(self) -> dict[str, float]:
        """Return what Ray could grant on the existing nodes; {} if that is unknown."""
        if self._pace_of_available.is_due():
            try:
                self._available = self._cluster.dashboard.available(self.existing)
            except RayliftError:
                self._available = {}
        return self._available
