"""Helpers for a RayService in the rig: readiness, token and requests."""

from __future__ import annotations

import base64
import http.client
import random
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kube import condition, objects

if TYPE_CHECKING:
    from api import Api

NODE_TYPE = "ray.io/node-type"
FRESH = 0.3  # seconds; a change takes about as long to reach every kube-proxy


@dataclass
class Endpoints:
    """The ready addresses of a Service, with a random one for each request.

    This replaces kube-proxy: the rig has none, so cluster IPs do not work.
    `Load(Endpoints(…), "/path")` sends requests at a constant rate.
    """

    api: Api
    namespace: str
    service: str
    port: int = 8000
    patience: float = 10  # seconds that a client waits for a response
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _read: float = 0
    _known: list[str] = field(default_factory=list)

    def addresses(self) -> list[str]:
        """Return the ready addresses in the EndpointSlices of the Service."""
        with self._lock:
            if time.monotonic() - self._read > FRESH:
                self._known, self._read = self._fetch(), time.monotonic()
            return self._known

    def _fetch(self) -> list[str]:
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices"
        query = f"?labelSelector=kubernetes.io/service-name%3D{self.service}"
        return [
            address
            for part in self.api.items(path + query)
            for point in part.get("endpoints") or []
            if point["conditions"].get("ready")
            for address in point["addresses"]
        ]

    def get(self, path: str) -> tuple[int, str]:
        """Return (HTTP status, text); the status is 0 without a response."""
        if not (addresses := self.addresses()):
            return 0, "no address is ready"
        url = f"http://{random.choice(addresses)}:{self.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=self.patience) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)


def head_is_ready(namespace: str) -> bool:
    """Return whether the operator reports a ready head in the namespace."""
    clusters = objects("-n", namespace, "rayclusters")
    return any(condition(each, "HeadPodReady") == "True" for each in clusters)


def active(namespace: str, service: str) -> tuple[str, dict[str, str]]:
    """Return (active cluster of a RayService, {application: status})."""
    (found,) = objects("-n", namespace, "rayservice", service)
    status = found.get("status", {}).get("activeServiceStatus", {})
    applications = status.get("applicationStatuses", {})
    states = {name: each["status"] for name, each in applications.items()}
    return status.get("rayClusterName", ""), states


def token(namespace: str, cluster: str) -> str:
    """Return the token that the operator created for authOptions.mode `token`."""
    (secret,) = objects("-n", namespace, "secret", cluster)
    return base64.b64decode(secret["data"]["auth_token"]).decode()
