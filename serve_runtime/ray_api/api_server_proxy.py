"""The transport to a stack on Kubernetes, through the API server's proxies.

Ray is not reachable in any other way.
"""

from __future__ import annotations

import contextlib
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from raylift.errors import FailedPrecondition, RayliftError, Unreachable
from raylift.kube_api import is_from_api_server, message_of, raise_for_status
from raylift.ray_service_client import METRICS_PORT, SERVE_PORT
from raylift.serve_runtime.ray_api.transport import (
    Call,
    Response,
    Streamed,
    refuse_wrong_token,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx2

    from raylift.outputs import KubernetesOutputs
    from raylift.ray_service_client import Clusters, HeadPod, RayServiceClient
    from raylift.serve_runtime.ray_api.transport import Destination, Forwarded

# Lifetime of the cached head. After KubeRay switches clusters, the old head still
# responds, so an older entry could read from the wrong cluster.
_HEAD_CACHE_SECONDS = 2.0
_IDENTITY = "authorization"  # the API server reads this header


class ApiServerProxy:
    """A session with one Ray cluster of a RayService.

    During an upgrade a RayService has two Ray clusters. `which` selects one and is
    called again after `_HEAD_CACHE_SECONDS`, because KubeRay can switch clusters.
    """

    def __init__(
        self,
        service: RayServiceClient,
        outputs: KubernetesOutputs,
        which: Callable[[Clusters], str | None],
    ) -> None:
        self._service = service
        self._outputs = outputs
        self._which = which
        self._head: HeadPod | None = None
        self._looked = float("-inf")
        self._pods: dict[str, str] = {}

    def dashboard(self, call: Call) -> Response:
        """Send a request to the dashboard of the selected cluster; see Transport."""
        head = self._find_head()
        response = self._service.request_dashboard(
            head,
            call.method,
            call.path,
            timeout=call.wait_s,
            json=call.json,
            params=call.fields,
        )
        if not response.is_success and is_from_api_server(response):
            self._looked = float("-inf")
            raise self._unreachable(head, response)
        result = Response(response.status_code, response.text)
        refuse_wrong_token(
            result,
            self._outputs.stack,
            hint="run the same command again to read the token from Secret"
            f" {head.cluster}",
        )
        return result

    def _unreachable(self, head: HeadPod, response: httpx2.Response) -> Unreachable:
        if response.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise_for_status(response)
        troubles = self._service.troubles(head.cluster, "head")
        why = troubles[0] if troubles else message_of(response)
        return Unreachable(
            f"the head of Ray cluster {head.cluster} does not respond: {why}",
            hint="run the same command again",
        )

    def data_plane(self, path: str, *, wait_s: float) -> Response | None:
        """Request a path from a ready pod of the stack's Service; see Transport."""
        service = f"{self._outputs.serve_service}:{SERVE_PORT}"
        return self._get(f"/services/{service}/proxy{path}", wait_s)

    def metrics(self, target: str, *, wait_s: float) -> Response | None:
        """Read the metrics of a target; see Transport."""
        address, _, port = target.rpartition(":")
        if port != str(METRICS_PORT):  # all other ports are closed
            return None
        if address not in self._pods:
            self._pods = self._pods_by_address()
        if address not in self._pods:
            return None
        return self._get(f"/pods/{self._pods[address]}:{port}/proxy/metrics", wait_s)

    @contextlib.contextmanager
    def forward(self, to: Destination, request: Forwarded) -> Iterator[Streamed]:
        """Pass on a request; see Transport.

        Raises:
            FailedPrecondition: The request has a header that the API server removes.
        """
        service = f"{self._outputs.serve_service}:{SERVE_PORT}"
        added: dict[str, str] = {}
        if to == "dashboard":
            service, added = self._service.dashboard_of(self._find_head())
        prefix = f"{self._service.core}/services/{service}/proxy"
        # The API server's proxy prefixes the links and redirects of a response.
        path = prefix + request.path.removeprefix(prefix)
        headers = [*_sendable(request, to), *added.items()]
        with self._service.api.stream(
            request.method,
            path,
            headers=[
                (name.encode(), value.encode("latin-1")) for name, value in headers
            ],
            content=request.body,
        ) as response:
            received = [
                (name, _own_location(value, prefix) if name == "location" else value)
                for name, value in _decoded(response)
            ]
            yield Streamed(response.status_code, received, _blocks(response))

    def close(self) -> None:
        """Do nothing, because the caller owns the connections to the API server."""

    def _find_head(self) -> HeadPod:
        if self._head is None or time.monotonic() - self._looked > _HEAD_CACHE_SECONDS:
            name = self._which(self._service.clusters())
            if self._head is None or self._head.cluster != name:
                self._head = self._service.head_of(name) if name else None
            self._looked = time.monotonic()
        if self._head is None:
            raise Unreachable(
                f"stack '{self._outputs.stack}' has no Ray cluster yet",
                hint=f"run `raylift up -s {self._outputs.stack}`",
            )
        return self._head

    def _get(self, path: str, wait_s: float) -> Response | None:
        try:
            response = self._service.api.request(
                "GET", f"{self._service.core}{path}", timeout=wait_s
            )
        except RayliftError:
            return None
        if not response.is_success and is_from_api_server(response):
            return None
        return Response(response.status_code, response.text)

    def _pods_by_address(self) -> dict[str, str]:
        name = self._which(self._service.clusters())
        kinds = ("head", "worker") if name else ()
        return {
            pod["status"]["podIP"]: pod["metadata"]["name"]
            for kind in kinds
            for pod in self._service.pods(name or "", kind)
            if pod["status"].get("podIP")
        }


def _sendable(request: Forwarded, to: Destination) -> list[tuple[str, str]]:
    """Return the headers of a request that pass the API server unchanged."""
    names = {name.lower() for name, _ in request.headers}
    if to == "applications" and _IDENTITY in names:
        raise FailedPrecondition(
            "the API server does not pass on the header Authorization; use `kubectl"
            " port-forward` for this request"
        )
    headers = [(k, v) for k, v in request.headers if k.lower() != _IDENTITY]
    if "accept-encoding" not in names:  # httpx2 would accept compression
        headers.append(("Accept-Encoding", "identity"))
    return headers


def _decoded(response: httpx2.Response) -> list[tuple[str, str]]:
    """Return the headers of a response, with repeated ones as they are."""
    return [
        (name.decode("latin-1").lower(), value.decode("latin-1"))
        for name, value in response.headers.raw
    ]


def _own_location(value: str, prefix: str) -> str:
    """Return a redirect to a path behind the proxy without the proxy's address."""
    parts = urlsplit(value)
    if not parts.path.startswith(f"{prefix}/"):
        return value
    path = parts.path.removeprefix(prefix)
    return urlunsplit(("", "", path, parts.query, parts.fragment))


def _blocks(response: httpx2.Response) -> Iterator[bytes]:
    """Yield a body as it arrives.

    Raises:
        Unreachable: The connection was lost.
    """
    import httpx2

    try:
        yield from response.iter_raw()
    except httpx2.HTTPError as error:
        raise Unreachable(f"the connection was lost: {error}") from None
