"""The status of a cluster, from Ray's report, the releases and a probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylift.serve_runtime.ray_api import probe
from raylift.serve_runtime.status.diagnosis import diagnose
from raylift.serve_runtime.status.status import (
    ClusterStatus,
    applications_of,
    imperative,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from raylift.serve_runtime.cluster.protocol import Cluster


def read_status(
    cluster: Cluster, *, missing_nodes: Callable[[Collection[str]], Iterable[str]]
) -> ClusterStatus:
    """Return the status of a cluster and its applications at this moment.

    `missing_nodes` takes the NODE_LABEL values of the nodes that Ray reports, and
    returns the names of nodes that should be running but do not respond.
    """
    details = cluster.dashboard.serve_details()
    routes = probe.routes(cluster.dashboard.transport)
    nodes = tuple(cluster.dashboard.nodes())
    status = ClusterStatus(
        stack=cluster.outputs.stack,
        ray_version=cluster.outputs.ray_version,
        serve_url=cluster.outputs.serve_url,
        answering=routes is not None,
        routed=frozenset((routes or {}).values()),
        proxies={
            node: item.get("status", "")
            for node, item in (details.get("proxies") or {}).items()
        },
        nodes=nodes,
        applications=applications_of(details),
        unfinished=tuple(cluster.unfinished()),
        notes=(*cluster.notices(), *map(_note, imperative(details))),
        missing_nodes=tuple(missing_nodes({node.mark for node in nodes})),
    )
    return diagnose(status)


def _note(name: str) -> str:
    return f"application '{name}' was created by serve.run in code, not by raylift"
