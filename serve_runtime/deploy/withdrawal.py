"""Withdrawal of defaults that keep an application from running.

Defaults are overrides of the code. Ray may be unable to apply one, and a surge may have
no room. The application then continues as Ray would run it without the default.
"""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any

from raylift.errors import RayliftError
from raylift.serve_runtime.status.capacity import missing
from raylift.serve_runtime.status.exceptions import OVERRIDES, explain
from raylift.serve_runtime.status.timers import Durations, Interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from raylift.serve_runtime.cluster.protocol import Cluster
    from raylift.serve_runtime.deploy.defaults import Added
    from raylift.serve_runtime.status.status import ApplicationStatus, DeploymentStatus

# A replica starts within this time if a node has room for it.
_SURGE_SECONDS = 5.0


class Defaults:
    """The defaults of a deploy, while it is being watched."""

    def __init__(self, cluster: Cluster, added: Sequence[Added]) -> None:
        self._cluster = cluster
        self._added = added
        self._durations = Durations()
        self._pace = Interval()

    def blocking(
        self, applications: Sequence[ApplicationStatus]
    ) -> tuple[list[Added], str]:
        """Return the defaults that keep an application from running, and the reason."""
        for application in applications:
            mine = [a for a in self._added if a.application == application.name]
            failed = application.status == "DEPLOY_FAILED"
            if mine and failed and OVERRIDES in application.message:
                return mine, explain(application.message)
        if not self._pace.is_due():
            return [], ""
        waiting = [
            surge
            for application in applications
            for deployment in application.deployments
            if (surge := self._surge_of(application.name, deployment))
            and self._lacks_room(application.name, deployment)
        ]
        return waiting, "no room for another replica" if waiting else ""

    def _surge_of(self, application: str, deployment: DeploymentStatus) -> Added | None:
        names = (application, deployment.name, "max_surge_percent")
        found = (
            a for a in self._added if (a.application, a.deployment, a.setting) == names
        )
        return next(found, None)

    def _lacks_room(self, application: str, deployment: DeploymentStatus) -> bool:
        """Return whether a surge has waited for resources that no node will have."""
        waits = bool(deployment.unplaced and deployment.replicas.get("RUNNING"))
        waited = self._durations.lasts((application, deployment.name), waits)
        if not waits or waited < _SURGE_SECONDS:
            return False
        dashboard = self._cluster.dashboard
        with contextlib.suppress(RayliftError):
            # A replica whose environment is being set up has its resources already.
            if not dashboard.has_unmet_demand(deployment.needs):
                return False
            potential = self._cluster.potential_nodes(dashboard.nodes())
            return bool(missing(deployment.needs, [], potential))
        return False


def without(document: dict[str, Any], settings: Iterable[Added]) -> dict[str, Any]:
    """Return a copy of an application document without these settings."""
    removed = {(each.deployment, each.setting) for each in settings}
    document = copy.deepcopy(document)
    overrides = [
        {k: v for k, v in item.items() if (item["name"], k) not in removed}
        for item in document.pop("deployments", [])
    ]
    if kept := [item for item in overrides if len(item) > 1]:
        document["deployments"] = kept
    return document
