"""A stack's RayService as it is, asked through the API server.

`infra` makes it and `serve_runtime` says in it what to serve; both look at it here.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raylift.errors import CannotWork

if TYPE_CHECKING:
    import httpx2

    from raylift.kubernetes import Api

SERVE_PORT, DASHBOARD_PORT, METRICS_PORT = 8000, 8265, 8080
STACK_LABEL = "raylift.io/stack"
CLUSTER_LABEL = "ray.io/cluster"  # KubeRay's, as the next: head or worker
TYPE_LABEL = "ray.io/node-type"
_ORIGIN = "ray.io/originated-from"  # as these, of a RayCluster
# Who owns spec.serveConfigV2; Pulumi owns the rest.
DEPLOYER = "raylift"
_NEVER = ("InvalidImageName", "ErrImageNeverPull")
_IMAGE = ("ErrImagePull", "ImagePullBackOff")
_TOKEN_HEADER = "X-Ray-Authorization"  # noqa: S105 a header; the usual one is the API server's


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a Ray cluster, and the token that its dashboard takes."""

    cluster: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod does not run, in Kubernetes' words; `for_ever`: it never will."""

    pod: str
    text: str
    for_ever: bool

    def __str__(self) -> str:
        return f"pod {self.pod}: {self.text}"


@dataclass(frozen=True, slots=True)
class Clusters:
    """Names of a RayService's Ray clusters, as its status has them.

    `applications` are Serve's statuses of applications in the pending one.
    """

    active: str | None
    pending: str | None
    applications: dict[str, str]

    @property
    def are_two(self) -> bool:
        """Whether another one is to take over from the one that requests go to."""
        return bool(self.active and self.pending)

    @property
    def newest(self) -> str | None:
        """The one that KubeRay hands `serveConfigV2` to."""
        return self.pending or self.active

    @property
    def serving(self) -> str | None:
        """The one that requests go to."""
        return self.active or self.pending


class RayService:
    """The RayService of a stack; every question raises as Api does."""

    def __init__(self, api: Api, namespace: str, stack: str) -> None:
        self.api = api
        self.stack = stack
        self.core = f"/api/v1/namespaces/{namespace}"
        self.ray = f"/apis/ray.io/v1/namespaces/{namespace}"

    def get(self) -> Any:  # noqa: ANN401 JSON, or None
        """The object; None where there is none."""
        return self.api.get(f"{self.ray}/rayservices/{self.stack}")

    def there(self) -> dict[str, Any]:
        """The object.

        Raises:
            CannotWork: there is none.
        """
        found = self.get()
        if not found:
            raise CannotWork(
                f"stack '{self.stack}' has no RayService any more",
                hint=f"raylift up -s {self.stack}",
            )
        return dict(found)

    def clusters(self) -> Clusters:
        """Its Ray clusters; while another becomes the active one there are two."""
        status = (self.get() or {}).get("status") or {}
        active, pending = (
            status.get(which) or {}
            for which in ("activeServiceStatus", "pendingServiceStatus")
        )
        applications = pending.get("applicationStatuses") or {}
        return Clusters(
            active.get("rayClusterName") or None,
            pending.get("rayClusterName") or None,
            {name: each.get("status", "") for name, each in applications.items()},
        )

    def all_clusters(self) -> list[str]:
        """Every Ray cluster that KubeRay has raised for it and that stays for now."""
        selector = f"{_ORIGIN}-cr-name={self.stack},{_ORIGIN}-crd=RayService"
        found = self.api.items(f"{self.ray}/rayclusters", labelSelector=selector)
        return [
            each["metadata"]["name"]
            for each in found
            if "deletionTimestamp" not in each["metadata"]
        ]

    def cluster(self) -> Any:  # noqa: ANN401 JSON, or None
        """The RayCluster that is the newest."""
        name = self.clusters().newest
        return self.api.get(f"{self.ray}/rayclusters/{name}") if name else None

    def set_serve_config(self, text: str, *, version: str) -> bool:
        """Say what to serve; `version` is the resourceVersion that this stands on.

        False where the object is not what it was.
        """
        body = {
            "apiVersion": "ray.io/v1",
            "kind": "RayService",
            "metadata": {"name": self.stack, "resourceVersion": version},
            "spec": {"serveConfigV2": text},
        }
        place = f"{self.ray}/rayservices/{self.stack}"
        changed = self.api.patch(
            place, body, "apply-patch+yaml", fieldManager=DEPLOYER, force="true"
        )
        return changed is not None

    def pods(self, cluster: str, kind: str) -> list[Any]:
        """The pods of a Ray cluster, of kind `head` or `worker`."""
        selector = f"{CLUSTER_LABEL}={cluster},{TYPE_LABEL}={kind}"
        return self.api.items(f"{self.core}/pods", labelSelector=selector)

    def troubles(self, cluster: str | None, *kinds: str) -> list[Trouble]:
        """Why pods of a Ray cluster do not run, heads before workers."""
        kinds = (kinds or ("head", "worker")) if cluster else ()
        found = [pod for kind in kinds for pod in self.pods(cluster or "", kind)]
        return [trouble for pod in found if (trouble := trouble_of(pod))]

    def head_of(self, cluster: str) -> Head | None:
        """None where KubeRay has made no token for it yet."""
        secret = self.api.get(f"{self.core}/secrets/{cluster}") or {}
        token = (secret.get("data") or {}).get("auth_token")
        return Head(cluster, base64.b64decode(token).decode()) if token else None

    def ask_dashboard(
        self,
        head: Head,
        method: str,
        path: str,
        **more: Any,  # noqa: ANN401 httpx2's
    ) -> httpx2.Response:
        """What a head's dashboard answers to its own token."""
        service = f"{head.cluster}-head-svc:{DASHBOARD_PORT}"
        url = f"{self.core}/services/{service}/proxy{path}"
        headers = {_TOKEN_HEADER: f"Bearer {head.token}"}
        return self.api.ask(method, url, headers=headers, **more)


def trouble_of(pod: dict[str, Any]) -> Trouble | None:
    """None where a pod runs, or may soon."""
    name, status = pod["metadata"]["name"], pod["status"]
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            text = condition.get("message") or condition.get("reason", "")
            return Trouble(name, text, for_ever=False)
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason", "")
        if reason in (*_NEVER, *_IMAGE):
            text = f"{reason}: {waiting.get('message', '')}"
            return Trouble(name, text, for_ever=reason in _NEVER)
    return None
