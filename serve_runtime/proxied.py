"""The transport to a stack on Kubernetes: the API server's proxies.

Nothing of Ray is reachable otherwise, and no port is opened on the user's side.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from raylift.errors import RayliftError, Unreachable
from raylift.kubernetes import told
from raylift.ray_service import METRICS_PORT, SERVE_PORT
from serve_runtime.transport import Answer, refuse_wrong_token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx2

    from raylift.outputs import ClusterOutputs
    from raylift.ray_service import Clusters, Head, RayService

# KubeRay may switch to another cluster meanwhile; the old one's head answers on.
_KNOWN_SECONDS = 2.0


class Proxied:
    """A session with one Ray cluster of a RayService, while it has two.

    `which` of them is asked each time, as KubeRay may switch meanwhile.
    """

    def __init__(
        self,
        service: RayService,
        outputs: ClusterOutputs,
        which: Callable[[Clusters], str | None],
    ) -> None:
        self._service = service
        self._outputs = outputs
        self._which = which
        self._head: Head | None = None
        self._looked = float("-inf")
        self._pods: dict[str, str] = {}

    def dashboard(
        self,
        method: str,
        path: str,
        *,
        wait_s: float,
        json: object = None,
        fields: Mapping[str, str] | None = None,
    ) -> Answer:
        """As Transport says."""
        head = self._find_head()
        response = self._service.ask_dashboard(
            head, method, path, timeout=wait_s, json=json, params=fields
        )
        if _is_of_the_api_server(response):
            self._looked = float("-inf")
            if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
                told(response)
            troubles = self._service.troubles(head.cluster, "head")
            why = troubles[0] if troubles else _message(response)
            raise Unreachable(
                f"the head of Ray cluster {head.cluster} does not answer: {why}",
                hint="run the same command again",
            )
        answer = Answer(response.status_code, response.text)
        refuse_wrong_token(
            answer,
            self._outputs.stack,
            hint=f"Secret {head.cluster} has KubeRay's; run the same command again",
        )
        return answer

    def data_plane(self, path: str, *, wait_s: float) -> Answer | None:
        """As Transport says; asked of one ready pod behind the stack's Service."""
        service = f"{self._outputs.serve_service}:{SERVE_PORT}"
        return self._get(f"/services/{service}/proxy{path}", wait_s)

    def metrics(self, target: str, *, wait_s: float) -> Answer | None:
        """As Transport says."""
        address, _, port = target.rpartition(":")
        if port != str(METRICS_PORT):  # of the dashboard and the autoscaler; closed
            return None
        if address not in self._pods:
            self._pods = self._pods_by_address()
        if address not in self._pods:
            return None
        return self._get(f"/pods/{self._pods[address]}:{port}/proxy/metrics", wait_s)

    def close(self) -> None:
        """Nothing: whoever opened the API server closes it."""

    def _find_head(self) -> Head:
        if self._head is None or time.monotonic() - self._looked > _KNOWN_SECONDS:
            name = self._which(self._service.clusters())
            if self._head is None or self._head.cluster != name:
                self._head = self._service.head_of(name) if name else None
            self._looked = time.monotonic()
        if self._head is None:
            raise Unreachable(
                f"stack '{self._outputs.stack}' has no Ray cluster yet",
                hint=f"raylift up -s {self._outputs.stack}",
            )
        return self._head

    def _get(self, path: str, wait_s: float) -> Answer | None:
        try:
            response = self._service.api.ask(
                "GET", f"{self._service.core}{path}", timeout=wait_s
            )
        except RayliftError:
            return None
        if _is_of_the_api_server(response):
            return None
        return Answer(response.status_code, response.text)

    def _pods_by_address(self) -> dict[str, str]:
        name = self._which(self._service.clusters())
        kinds = ("head", "worker") if name else ()
        return {
            pod["status"]["podIP"]: pod["metadata"]["name"]
            for kind in kinds
            for pod in self._service.pods(name or "", kind)
            if pod["status"].get("podIP")
        }


def _is_of_the_api_server(response: httpx2.Response) -> bool:
    """Whether a question did not come through to what it was for."""
    return not response.is_success and _body(response).get("kind") == "Status"


def _message(response: httpx2.Response) -> str:
    return str(_body(response).get("message", ""))


def _body(response: httpx2.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
