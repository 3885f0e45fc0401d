"""The Ray head of a stack, through the API server: it is there when it answers."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

from infra.kubernetes.ray_service import DASHBOARD_PORT
from raylift.errors import CannotWork, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable

    from lightkube.config.kubeconfig import SingleConfig

# Who owns spec.serveConfigV2; Pulumi owns the rest.
DEPLOYER = "raylift"
_SECONDS = 900.0
_POLL_SECONDS = 1.0
_TOKEN_HEADER = "X-Ray-Authorization"  # noqa: S105 a header's name; the API server keeps the usual one


def wait_for_head(
    access: SingleConfig,
    namespace: str,
    stack: str,
    *,
    say: Callable[[str], None],
) -> None:
    """Wait until the head of the stack's newest cluster answers with the right token.

    Raises:
        CannotWork: a pod of the head cannot start, with the reason.
        Unreachable: it took too long.
    """
    import httpx2
    from lightkube.config.client_adapter import Client, ConnectionParams

    parameters = ConnectionParams(timeout=httpx2.Timeout(10), trust_env=False)
    deadline, told = time.monotonic() + _SECONDS, ""
    with Client(access, parameters) as http:
        head = _Head(http, namespace, stack)
        head.seed()
        while waiting := head.waiting_for():
            if waiting != told:
                say(waiting)
                told = waiting
            if time.monotonic() > deadline:
                raise Unreachable(
                    f"Ray's head is not ready after {_SECONDS:.0f} s: {waiting}",
                    hint="run the same command again",
                )
            time.sleep(_POLL_SECONDS)


class _Head:
    """The head of a stack, asked through the API server."""

    def __init__(self, http: Any, namespace: str, stack: str) -> None:  # noqa: ANN401 lightkube's
        self._http = http
        self._core = f"/api/v1/namespaces/{namespace}"
        self._ray = f"/apis/ray.io/v1/namespaces/{namespace}"
        self._stack = stack

    def waiting_for(self) -> str:
        """What is not there yet; empty once the head answers."""
        name = self._cluster()
        if not name:
            return "waiting for KubeRay"
        ray = self._get(f"{self._ray}/rayclusters/{name}")
        conditions = (ray or {}).get("status", {}).get("conditions") or []
        ready = [c for c in conditions if c["type"] == "HeadPodReady"]
        if not ready or ready[0]["status"] != "True":
            return f"waiting for the head of {name}{self._trouble(name)}"
        return "" if self._answers(name) else "waiting for Ray's dashboard"

    def seed(self) -> None:
        """Say that there is no application yet, where nobody has said anything.

        Without `serveConfigV2` KubeRay posts nothing to Serve, is refused, and does not
        come to look whether the Ray cluster should be another.
        """
        place = f"{self._ray}/rayservices/{self._stack}"
        found = self._get(place)
        if found is None or found["spec"].get("serveConfigV2") is not None:
            return
        body = {
            "apiVersion": "ray.io/v1",
            "kind": "RayService",
            "metadata": {
                "name": self._stack,
                "resourceVersion": found["metadata"]["resourceVersion"],
            },
            "spec": {"serveConfigV2": "applications: []\n"},
        }
        self._http.patch(
            place,
            content=json.dumps(body),
            params={"fieldManager": DEPLOYER},
            headers={"Content-Type": "application/apply-patch+yaml"},
        )

    def _cluster(self) -> str:
        """The cluster that is or becomes the active one; empty while unknown."""
        place = f"{self._ray}/rayservices/{self._stack}"
        found = self._get(place) or {"metadata": {"generation": 1}}
        status = found.get("status") or {}
        if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
            return ""
        for which in ("pendingServiceStatus", "activeServiceStatus"):
            if name := (status.get(which) or {}).get("rayClusterName"):
                return str(name)
        return ""

    def _trouble(self, name: str) -> str:
        """Why the head's pod does not run, in Kubernetes' words.

        Raises:
            CannotWork: it never will.
        """
        selector = f"ray.io/cluster={name},ray.io/node-type=head"
        found = self._get(f"{self._core}/pods", labelSelector=selector)
        pods = (found or {}).get("items", [])
        for pod in pods:
            for found in pod["status"].get("conditions") or []:
                if found["type"] == "PodScheduled" and found["status"] == "False":
                    return f": {found.get('message') or found['reason']}"
            for found in pod["status"].get("containerStatuses") or []:
                waiting = (found.get("state") or {}).get("waiting") or {}
                if waiting.get("reason") in ("ErrImagePull", "ImagePullBackOff"):
                    return f": {waiting['reason']}: {waiting.get('message', '')}"
                if waiting.get("reason") == "InvalidImageName":
                    raise CannotWork(f"the head cannot start: {waiting['message']}")
        return ""

    def _answers(self, cluster: str) -> bool:
        secret = self._get(f"{self._core}/secrets/{cluster}")
        if not secret:
            return False
        token = base64.b64decode(secret["data"]["auth_token"]).decode()
        service = f"{cluster}-head-svc:{DASHBOARD_PORT}"
        path = f"{self._core}/services/{service}/proxy/api/version"
        answer = self._ask(path, headers={_TOKEN_HEADER: f"Bearer {token}"})
        return answer is not None and answer.status_code == 200  # noqa: PLR2004 OK

    def _get(self, path: str, **query: str) -> Any:  # noqa: ANN401 JSON
        answer = self._ask(path, params=query)
        return answer.json() if answer is not None and answer.is_success else None

    def _ask(self, path: str, **more: Any) -> Any:  # noqa: ANN401 an answer, or None
        import httpx2

        try:
            return self._http.get(path, **more)
        except httpx2.HTTPError:
            return None
