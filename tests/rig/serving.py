"""A Ray service in the rig: what is ready of it, its token, requests to it."""

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
FRESH = 0.3  # seconds: about as long as a change takes to reach every kube-proxy


@dataclass
class Endpoints:
    """A Service's ready addresses, one at random for each request.

    As kube-proxy does, which the rig has not: a cluster IP leads nowhere there.
    `Load(Endpoints(…), "/path")` asks at a steady rate.
    """

    api: Api
    namespace: str
    service: str
    port: int = 8000
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _read: float = 0
    _known: list[str] = field(default_factory=list)

    def addresses(self) -> list[str]:
        """Those of the Service's EndpointSlices that are ready."""
        with self._lock:
            if time.monotonic() - self._read > FRESH:
                self._known, self._read = self._ask(), time.monotonic()
            return self._known

    def _ask(self) -> list[str]:
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices"
        query = f"?labelSelector=kubernetes.io/service-name%3D{self.service}"
        return [
            address
            for part in self.api.items(path + query)
            for point in part.get("endpoints") or []
            if point["conditions"].get("ready")
            for address in point["addresses"]
        ]

    def get(self, path: str, *, timeout: float = 10) -> tuple[int, str]:
        """(HTTP status, text); 0 where nothing answered."""
        if not (addresses := self.addresses()):
            return 0, "no endpoint is ready"
        url = f"http://{random.choice(addresses)}:{self.port}{path}"
        try:
            with urllib.request.urlopen(url, timeout=timeout) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)


def head_is_ready(namespace: str) -> bool:
    """Whether the operator says so of a cluster there."""
    clusters = objects("-n", namespace, "rayclusters")
    return any(condition(each, "HeadPodReady") == "True" for each in clusters)


def active(namespace: str, service: str) -> tuple[str, dict[str, str]]:
    """(the active cluster of a RayService, {application: its status})."""
    (found,) = objects("-n", namespace, "rayservice", service)
    status = found.get("status", {}).get("activeServiceStatus", {})
    applications = status.get("applicationStatuses", {})
    states = {name: each["status"] for name, each in applications.items()}
    return status.get("rayClusterName", ""), states


def token(namespace: str, cluster: str) -> str:
    """What the operator made for a cluster with authOptions.mode `token`."""
    (secret,) = objects("-n", namespace, "secret", cluster)
    return base64.b64decode(secret["data"]["auth_token"]).decode()
