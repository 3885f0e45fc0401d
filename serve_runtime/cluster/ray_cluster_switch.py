"""Waiting for a RayService to have a single Ray cluster.

While there are two, both receive requests, but KubeRay sends `serveConfigV2` only to
the newer one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from raylift.errors import Unreachable
from raylift.serve_runtime.cluster.serve_config_v2 import config_of, documents_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from raylift.ray_service_client import Clusters, RayServiceClient
    from raylift.serve_runtime.ray_api.dashboard import Dashboard

_SETTLE_SECONDS, _POLL_SECONDS = 600.0, 0.5
_TAKEOVER_SECONDS = 90.0
_FAILED = {"DEPLOY_FAILED", "UNHEALTHY"}


def wait_until_settled(
    service: RayServiceClient, dashboard: Dashboard, *, say: Callable[[str], None]
) -> None:
    """Wait until there is one Ray cluster, and its head responds.

    Return early if the pending cluster does not take over: another deploy may be needed
    to repair it.

    Raises:
        Unreachable: There were two clusters, or no response, for too long.
    """
    started, reported = time.monotonic(), ""
    while pending := _pending(service, dashboard, time.monotonic() - started):
        if pending != reported:
            say(pending)
            reported = pending
        if time.monotonic() - started > _SETTLE_SECONDS:
            raise Unreachable(
                "the switch to the new Ray cluster did not complete within"
                f" {_SETTLE_SECONDS:.0f} s: {pending}",
                hint="run `raylift status`, then run the same command again",
            )
        time.sleep(_POLL_SECONDS)


def _pending(service: RayServiceClient, dashboard: Dashboard, waited_s: float) -> str:
    """Return what to wait for, or "" if nothing is pending."""
    try:
        rayservice = service.require()
        clusters = service.clusters()
        if not clusters.newest:
            return "waiting for KubeRay to create a Ray cluster"
        dashboard.version()
        old = {*service.all_clusters()} - {clusters.newest}
    except Unreachable as error:
        return str(error)
    if clusters.are_two:
        # KubeRay never switches to a cluster without applications.
        if not _may_take_over(clusters, waited_s) or not documents_of(
            config_of(rayservice)
        ):
            return ""
        return f"waiting for Ray cluster {clusters.pending} to take over"
    if old:
        return (
            f"waiting for Ray cluster {min(old)}, which still receives requests, to be"
            " deleted"
        )
    return ""


def _may_take_over(clusters: Clusters, waited_s: float) -> bool:
    """Return whether the pending cluster is still expected to take over."""
    failed = _FAILED & set(clusters.applications.values())
    return not failed and waited_s <= _TAKEOVER_SECONDS
