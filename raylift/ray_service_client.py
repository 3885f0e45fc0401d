"""A client for a stack's RayService.

`infra` creates the RayService; `serve_runtime` sets its Serve config.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raylift.errors import FailedPrecondition
from raylift.pod_troubles import (
    rejection,
    trouble_of,
    volume_troubles,
    waits_for_volumes,
)

if TYPE_CHECKING:
    import httpx2

    from raylift.kube_api import Api
    from raylift.pod_troubles import Trouble

SERVE_PORT, DASHBOARD_PORT, METRICS_PORT = 8000, 8265, 8080
STACK_LABEL = "raylift.io/stack"
# Labels that KubeRay sets on pods, and the prefix of its labels on RayClusters.
CLUSTER_LABEL = "ray.io/cluster"
TYPE_LABEL = "ray.io/node-type"  # head or worker
_ORIGIN = "ray.io/originated-from"
# The field manager that owns spec.serveConfigV2; Pulumi owns the rest.
DEPLOYER = "raylift"
# The key of the ConfigMap that describes a stack.
DESCRIPTION_KEY = "outputs.json"
_DESCRIPTION = "-raylift"
_TOKEN_HEADER = "X-Ray-Authorization"  # noqa: S105 a header; Authorization is for the API server


@dataclass(frozen=True, slots=True)
class HeadPod:
    """The head of a Ray cluster and the token of its dashboard."""

    cluster: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Clusters:
    """The names of a RayService's Ray clusters, from its status.

    `applications` maps the applications of the pending cluster to their Serve status.
    """

    active: str | None
    pending: str | None
    applications: dict[str, str]

    @property
    def are_two(self) -> bool:
        """Whether a pending cluster is about to replace the active one."""
        return bool(self.active and self.pending)

    @property
    def newest(self) -> str | None:
        """The cluster that KubeRay applies `serveConfigV2` to."""
        return self.pending or self.active

    @property
    def serving(self) -> str | None:
        """The cluster that receives requests."""
        return self.active or self.pending


class RayServiceClient:
    """A client for the RayService of a stack. Methods raise the errors of `Api`."""

    def __init__(self, api: Api, namespace: str, stack: str) -> None:
        self.api = api
        self.stack = stack
        self.core = f"/api/v1/namespaces/{namespace}"
        self.ray = f"/apis/ray.io/v1/namespaces/{namespace}"

    def get(self) -> Any:  # noqa: ANN401 JSON, or None
        """Return the RayService, or None if it does not exist."""
        return self.api.get(f"{self.ray}/rayservices/{self.stack}")

    def require(self) -> dict[str, Any]:
        """Return the RayService.

        Raises:
            FailedPrecondition: The RayService does not exist.
        """
        service = self.get()
        if not service:
            raise FailedPrecondition(
                f"the RayService of stack '{self.stack}' is missing",
                hint=f"run `raylift up -s {self.stack}`",
            )
        return dict(service)

    def description(self) -> Any:  # noqa: ANN401 JSON, or None
        """Return the stack's outputs from the ConfigMap in its cluster.

        Return None if the stack is not up.
        """
        found = self.api.get(f"{self.core}/configmaps/{description_name(self.stack)}")
        return found and described(found)

    def clusters(self) -> Clusters:
        """Return the Ray clusters, two during an upgrade."""
        return clusters_of(self.get() or {})

    def all_clusters(self) -> list[str]:
        """Return the names of all Ray clusters that are not being deleted."""
        selector = f"{_ORIGIN}-cr-name={self.stack},{_ORIGIN}-crd=RayService"
        clusters = self.api.items(f"{self.ray}/rayclusters", labelSelector=selector)
        return [
            each["metadata"]["name"]
            for each in clusters
            if "deletionTimestamp" not in each["metadata"]
        ]

    def with_cluster(self) -> tuple[Any, Any]:
        """Return the RayService and its newest RayCluster; None for what is missing."""
        service = self.get()
        name = clusters_of(service or {}).newest
        return service, self.api.get(f"{self.ray}/rayclusters/{name}") if name else None

    def set_serve_config(self, text: str, *, version: str) -> bool:
        """Set `spec.serveConfigV2`, based on a resourceVersion of the RayService.

        Return False if the RayService has changed since that version.
        """
        body = {
            "apiVersion": "ray.io/v1",
            "kind": "RayService",
            "metadata": {"name": self.stack, "resourceVersion": version},
            "spec": {"serveConfigV2": text},
        }
        path = f"{self.ray}/rayservices/{self.stack}"
        changed = self.api.patch(
            path, body, "apply-patch+yaml", fieldManager=DEPLOYER, force="true"
        )
        return changed is not None

    def pods(self, cluster: str, kind: str) -> list[Any]:
        """Return the pods of a Ray cluster; `kind` is `head` or `worker`."""
        selector = f"{CLUSTER_LABEL}={cluster},{TYPE_LABEL}={kind}"
        return self.api.items(f"{self.core}/pods", labelSelector=selector)

    def troubles(self, cluster: str | None, *kinds: str) -> list[Trouble]:
        """Return why pods of a Ray cluster are not running, heads before workers."""
        if cluster is None:
            return []
        found = self.api.get(f"{self.ray}/rayclusters/{cluster}") or {}
        pods = {kind: self.pods(cluster, kind) for kind in kinds or ("head", "worker")}
        is_waiting = any(waits_for_volumes(p) for each in pods.values() for p in each)
        selector = "type=Warning,involvedObject.kind=Pod"
        warnings = self.events(selector) if is_waiting else []
        troubles: list[Trouble] = []
        for kind, each in pods.items():
            rejected = rejection(kind, found, len(each))
            troubles += filter(None, [rejected, *map(trouble_of, each)])
            troubles += volume_troubles(each, warnings)
        return troubles

    def events(self, selector: str) -> list[Any]:
        """Return the events that a field selector selects."""
        return self.api.items(f"{self.core}/events", fieldSelector=selector)

    def head_of(self, cluster: str) -> HeadPod | None:
        """Return the head of a Ray cluster, or None while it has no token."""
        secret = self.api.get(f"{self.core}/secrets/{cluster}") or {}
        token = (secret.get("data") or {}).get("auth_token")
        return HeadPod(cluster, base64.b64decode(token).decode()) if token else None

    def request_dashboard(
        self,
        head: HeadPod,
        method: str,
        path: str,
        **options: Any,  # noqa: ANN401 httpx2's
    ) -> httpx2.Response:
        """Return the response of a head's dashboard to a request with its token."""
        service, headers = self.dashboard_of(head)
        url = f"{self.core}/services/{service}/proxy{path}"
        return self.api.request(method, url, headers=headers, **options)

    def dashboard_of(self, head: HeadPod) -> tuple[str, dict[str, str]]:
        """Return the `service:port` of a head's dashboard, and the header it needs."""
        service = f"{head.cluster}-head-svc:{DASHBOARD_PORT}"
        return service, {_TOKEN_HEADER: f"Bearer {head.token}"}


def clusters_of(service: dict[str, Any]) -> Clusters:
    """Return the Ray clusters in the status of a RayService."""
    active, pending = cluster_statuses(service)
    applications = pending.get("applicationStatuses") or {}
    return Clusters(
        active.get("rayClusterName") or None,
        pending.get("rayClusterName") or None,
        {name: each.get("status", "") for name, each in applications.items()},
    )


def cluster_statuses(service: dict[str, Any]) -> tuple[Any, Any]:
    """Return the statuses of a RayService's active and pending cluster, or {}."""
    status = service.get("status") or {}
    active, pending = (
        status.get(which) or {}
        for which in ("activeServiceStatus", "pendingServiceStatus")
    )
    return active, pending


def description_name(stack: str) -> str:
    """Return the name of the ConfigMap that describes a stack."""
    return f"{stack}{_DESCRIPTION}"


def described(config_map: dict[str, Any]) -> dict[str, Any]:
    """Return the stack's outputs from the ConfigMap that describes it.

    Raises:
        FailedPrecondition: The ConfigMap was edited and is not valid.
    """
    name = config_map["metadata"]["name"]
    stack = name.removesuffix(_DESCRIPTION)
    try:
        outputs = json.loads(config_map["data"][DESCRIPTION_KEY])
    except (KeyError, TypeError, ValueError, RecursionError):
        outputs = None
    if not _is_description(outputs, stack):
        raise FailedPrecondition(
            f"ConfigMap '{name}' does not describe a stack: it was edited by hand",
            hint=f"run `pulumi refresh -s {stack}`, then `raylift up -s {stack}`",
        )
    return dict(outputs)


def _is_description(outputs: object, stack: str) -> bool:
    """Return whether these are the outputs of a stack, and text."""
    return isinstance(outputs, dict) and (
        outputs.get("stack") == stack
        and all(
            isinstance(value, str) or key == "version" for key, value in outputs.items()
        )
    )
