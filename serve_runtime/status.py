"""The truth about a cluster as one value, from Ray's words and a probe."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from serve_runtime.diagnosis import why

if TYPE_CHECKING:
    from serve_runtime.dashboard import Node
    from serve_runtime.release import Release


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One replica; `state` is Ray's: STARTING, RUNNING, STOPPING and more."""

    replica_id: str
    state: str
    node_id: str | None
    pid: int | None
    log_file: str | None


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """One deployment.

    `replicas` counts by state; `needs` are the resources of one replica; `unplaced`
    says that a starting replica has no process yet.
    """

    name: str
    status: str
    message: str
    target: int
    replicas: dict[str, int]
    needs: dict[str, float]
    unplaced: bool
    members: tuple[ReplicaStatus, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class ApplicationStatus:
    """One application; `status` is Ray's, `deployed` the document Ray has."""

    name: str
    status: str
    message: str
    route_prefix: str | None
    source: str
    deployed: dict[str, Any] | None
    deployments: tuple[DeploymentStatus, ...]


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """Everything that `raylift status` shows.

    `answering` says whether the data plane answered a probe just now; `routed` are
    the applications that it routes to; `notes` are no problems by themselves.
    """

    stack: str
    ray_version: str
    serve_url: str
    answering: bool
    routed: frozenset[str]
    proxies: dict[str, str]
    nodes: tuple[Node, ...]
    applications: tuple[ApplicationStatus, ...]
    unfinished: tuple[Release, ...] = ()
    missing_nodes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def problems(self) -> list[str]:
        """What is not well, a line each; empty when all is."""
        found = [f"node {name} does not answer" for name in self.missing_nodes]
        for application in self.applications:
            if application.status != "RUNNING":
                cause = why(application, self.nodes)
                told = f": {cause}" if cause else ""
                found.append(
                    f"application '{application.name}' is {application.status}{told}"
                )
        if self.applications and not self.answering:
            found.append(f"the data plane does not answer at {self.serve_url}")
        elif self.answering:
            found += [
                f"application '{a.name}' is not routed at {self.serve_url}"
                for a in self.applications
                if a.status == "RUNNING"
                and a.route_prefix is not None
                and a.name not in self.routed
            ]
        found += [
            f"the proxy on node {node[:8]} is {status}"
            for node, status in self.proxies.items()
            if status not in ("HEALTHY", "STARTING", "DRAINING", "DRAINED")
        ]
        found += [
            f"release {r.number} by {r.author} was cut off before it ended"
            for r in self.unfinished
        ]
        return found


def applications_of(details: dict[str, Any]) -> tuple[ApplicationStatus, ...]:
    """Ray's ServeInstanceDetails as our values, by name."""
    found = details.get("applications") or {}
    return tuple(_application(name, found[name]) for name in sorted(found))


def _application(name: str, item: dict[str, Any]) -> ApplicationStatus:
    deployments = item.get("deployments") or {}
    return ApplicationStatus(
        name=name,
        status=str(item.get("status", "NOT_STARTED")),
        message=item.get("message") or "",
        route_prefix=item.get("route_prefix"),
        source=item.get("source", ""),
        deployed=item.get("deployed_app_config"),
        deployments=tuple(
            _deployment(key, deployments[key]) for key in sorted(deployments)
        ),
    )


def _deployment(name: str, item: dict[str, Any]) -> DeploymentStatus:
    replicas = item.get("replicas") or []
    return DeploymentStatus(
        name=name,
        status=str(item.get("status", "")),
        message=item.get("message") or "",
        target=int(item.get("target_num_replicas") or 0),
        replicas=dict(Counter(str(r.get("state")) for r in replicas)),
        needs=dict(item.get("required_resources") or {}),
        unplaced=any(
            r.get("state") == "STARTING" and not r.get("pid") for r in replicas
        ),
        members=tuple(_replica(r) for r in replicas),
    )


def _replica(item: dict[str, Any]) -> ReplicaStatus:
    return ReplicaStatus(
        replica_id=str(item.get("replica_id", "")),
        state=str(item.get("state", "")),
        node_id=item.get("node_id"),
        pid=item.get("pid"),
        log_file=item.get("log_file_path"),
    )
