"""Waiting until Ray runs and serves the documents of a release."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raylift.errors import Busy, RayliftError, Unreachable
from raylift.serve_runtime.deploy.causes import Causes
from raylift.serve_runtime.deploy.plan import same_document
from raylift.serve_runtime.deploy.withdrawal import Defaults
from raylift.serve_runtime.ray_api import probe
from raylift.serve_runtime.status.status import ApplicationStatus, applications_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from raylift.serve_runtime.cluster.protocol import Cluster
    from raylift.serve_runtime.deploy.defaults import Added
    from raylift.serve_runtime.release import Documents

# Short at first, because new weights take effect in 0.2 s; longer later, to reduce the
# load on Ray.
_SHORTEST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.02, 0.1
# Hundreds of processes that start at once keep a small machine, and the dashboard, busy
# for minutes; a repeated request would increase the load while the first is still being
# processed.
_BUSY_SECONDS = 60.0


class DeployFailed(RayliftError):
    """A release that cannot be completed. The message is the cause."""


class DefaultFailed(DeployFailed):
    """A release that cannot be completed because of defaults that raylift added."""

    def __init__(self, settings: list[Added], reason: str) -> None:
        super().__init__(reason)
        self.settings = settings


@dataclass(frozen=True, slots=True)
class Observation:
    """The state of the watched applications and the causes of delays."""

    applications: tuple[ApplicationStatus, ...]
    causes: dict[str, str]
    seconds: float


def watch(
    cluster: Cluster,
    documents: Documents,
    *,
    timeout_s: float,
    on_change: Callable[[Observation], None] = lambda _: None,
    added: Sequence[Added] = (),
) -> None:
    """Wait until Ray runs and serves `documents`, and has deleted those that are None.

    `added` are the defaults in the documents.

    Raises:
        DefaultFailed: The documents could run without some of these defaults.
        DeployFailed: The documents cannot run, or did not run in time.
        Unreachable: The dashboard did not respond for some seconds.
    """
    watcher = _Watch(
        cluster, documents, timeout_s=timeout_s, defaults=Defaults(cluster, added)
    )
    watcher.wait(on_change)
    watcher.wait_until_routed()


class _Watch:
    """A wait for documents, with a deadline."""

    def __init__(
        self,
        cluster: Cluster,
        documents: Documents,
        *,
        timeout_s: float,
        defaults: Defaults,
    ) -> None:
        self._cluster = cluster
        self._dashboard = cluster.dashboard
        self._documents = documents
        self._timeout = timeout_s
        self._started = time.monotonic()
        self._causes = Causes(cluster, documents)
        self._defaults = defaults

    def wait(self, on_change: Callable[[Observation], None]) -> None:
        """Wait until Ray reports that every document runs."""
        reported: object = None
        while True:
            requested = time.monotonic()
            everything = self._read()
            took = time.monotonic() - requested
            applications = tuple(a for a in everything if a.name in self._documents)
            if self._is_done(applications):
                return
            causes = self._causes.find(everything)
            state = _summary(applications), tuple(sorted(causes.items()))
            if state != reported:
                on_change(Observation(applications, causes, self._elapsed()))
                reported = state
            self._refuse_failed(applications, causes)
            # Requests must not use more than half of Ray's time.
            time.sleep(max(took, self._pause()))

    def wait_until_routed(self) -> None:
        """Wait until the proxy routes to the applications, shortly after they run."""
        routed = {
            name
            for name, document in self._documents.items()
            if document and document.get("route_prefix", "/") is not None
        }
        deadline = time.monotonic() + self._cluster.routed_within_s
        while routed:
            routes = probe.routes(self._dashboard.transport)
            if routes is not None and routed <= set(routes.values()):
                return
            if time.monotonic() >= deadline:
                problem = (
                    "does not respond" if routes is None else "does not route to it"
                )
                raise DeployFailed(
                    f"{min(routed)}: RUNNING, but Serve at"
                    f" {self._dashboard.outputs.serve_url} {problem}"
                )
            time.sleep(0.02)

    # ---

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _pause(self) -> float:
        pause = max(_SHORTEST_POLL_SECONDS, self._elapsed() / 20)
        return min(_LONGEST_POLL_SECONDS, pause)

    def _read(self) -> tuple[ApplicationStatus, ...]:
        """Return the status of all applications; retry until there is a response."""
        silent_until = time.monotonic() + self._cluster.silent_for_s
        wait_s = None
        while True:
            try:
                return applications_of(self._dashboard.serve_details(wait_s))
            except Unreachable as error:
                wait_s = _BUSY_SECONDS if isinstance(error, Busy) else None
                deadline = self._started + self._timeout if wait_s else silent_until
                if time.monotonic() >= deadline:
                    raise Unreachable(
                        f"lost the connection to Ray's dashboard: {error}",
                        hint="run `raylift status`, then run the same command again",
                    ) from None
                time.sleep(0.3)

    def _is_done(self, applications: tuple[ApplicationStatus, ...]) -> bool:
        existing = {application.name: application for application in applications}
        return all(
            name not in existing
            if document is None
            else name in existing and _serves(existing[name], document)
            for name, document in self._documents.items()
        )

    def _refuse_failed(
        self, applications: tuple[ApplicationStatus, ...], causes: dict[str, str]
    ) -> None:
        current = [a for a in applications if self._causes.has_document(a)]
        settings, reason = self._defaults.blocking(current)
        if settings:
            raise DefaultFailed(settings, reason)
        if cause := self._causes.fatal(applications, causes):
            raise DeployFailed(cause)
        if self._elapsed() >= self._timeout:
            raise DeployFailed(self._timed_out(applications, causes))

    def _timed_out(
        self, applications: tuple[ApplicationStatus, ...], causes: dict[str, str]
    ) -> str:
        """Return the error for a late application, preferably with a known cause."""
        late = [
            name
            for name, document in self._documents.items()
            if not any(
                a.name == name and document and _serves(a, document)
                for a in applications
            )
        ]
        name = next((n for n in late if n in causes), late[0])
        if self._documents[name] is None:
            return f"{name}: not deleted after {self._timeout:g} s"
        cause = causes.get(name) or _replica_states(name, applications)
        return f"{name}: not RUNNING after {self._timeout:g} s: {cause}"


def _serves(application: ApplicationStatus, document: dict[str, Any]) -> bool:
    return (
        application.status == "RUNNING"
        and bool(application.deployments)
        and same_document(application.deployed, document)
    )


def _summary(applications: tuple[ApplicationStatus, ...]) -> tuple[object, ...]:
    """Return a value that changes with the progress of applications."""
    return tuple(
        (a.name, a.status, d.name, tuple(sorted(d.replicas.items())))
        for a in applications
        for d in a.deployments
    ) + tuple((a.name, a.status) for a in applications)


def _replica_states(name: str, applications: tuple[ApplicationStatus, ...]) -> str:
    """Return `Model 2 STARTING, Router 1 RUNNING`, or the application's status."""
    for application in applications:
        if application.name == name:
            states = [
                f"{d.name} {count} {state}"
                for d in application.deployments
                for state, count in sorted(d.replicas.items())
            ]
            return ", ".join(states) or f"its status is {application.status}"
    return "Ray does not list it"
