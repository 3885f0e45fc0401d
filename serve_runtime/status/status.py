"""The status of a cluster and its applications as plain values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raylift.redaction import without_secrets

if TYPE_CHECKING:
    from raylift.serve_runtime.ray_api.dashboard import RayNode
    from raylift.serve_runtime.release import Release


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """A replica; `state` is Ray's, such as STARTING, RUNNING or STOPPING."""

    replica_id: str
    state: str
    node_id: str | None
    pid: int | None
    log_file: str | None


@dataclass(frozen=True, slots=True)
class DeploymentStatus:
    """A deployment.

    `replicas` counts replicas by state, `needs` maps the resources of one replica to
    their amounts. `unplaced` is true while a starting replica has no process.
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
    """An application; `status` is Ray's, `deployed` the config that Ray stores."""

    name: str
    status: str
    message: str
    route_prefix: str | None
    source: str
    deployed: dict[str, Any] | None
    deployments: tuple[DeploymentStatus, ...]


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """The output of `raylift status`.

    `answering` states whether the data plane responded to a probe; `routed` contains
    the applications that it routes to. Each entry of `notes` and `problems` is one
    line; notes do not make the stack unhealthy. `diagnosis.diagnose` sets the problems.
    """

    stack: str
    ray_version: str
    serve_url: str
    answering: bool
    routed: frozenset[str]
    proxies: dict[str, str]
    nodes: tuple[RayNode, ...]
    applications: tuple[ApplicationStatus, ...]
    unfinished: tuple[Release, ...] = ()
    missing_nodes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def applications_of(details: dict[str, Any]) -> tuple[ApplicationStatus, ...]:
    """Return the applications in Ray's ServeInstanceDetails, sorted by name."""
    items = details.get("applications") or {}
    return tuple(_application(name, items[name]) for name in sorted(items))


def imperative(details: dict[str, Any]) -> list[str]:
    """Return the applications that code created by `serve.run`, sorted."""
    return [a.name for a in applications_of(details) if a.source == "imperative"]


def _application(name: str, item: dict[str, Any]) -> ApplicationStatus:
    deployments = item.get("deployments") or {}
    return ApplicationStatus(
        name=name,
        status=str(item.get("status", "NOT_STARTED")),
        message=without_secrets(item.get("message") or ""),
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
        message=without_secrets(item.get("message") or ""),
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
