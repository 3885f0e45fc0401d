"""Probes of a container: their checks, their schedule and their results."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from .container import Container


class Probe:
    """One probe, which has passed if the container does not specify it."""

    def __init__(
        self, spec: dict | None, check: Callable[[dict], bool], *, passed: bool
    ) -> None:
        self.spec, self.check, self.passed = spec, check, passed or not spec
        self.due = time.monotonic() + (spec or {}).get("initialDelaySeconds", 0)
        self.last: bool | None = None
        self.streak = 0
        self.failed = False

    def step(self) -> None:
        """Run the check, if it is due."""
        if not self.spec or time.monotonic() < self.due:
            return
        self.due = time.monotonic() + self.spec.get("periodSeconds", 10)
        self.count(self.check(self.spec))

    def count(self, good: bool) -> None:
        """Count a result, which takes effect after enough equal results in a row."""
        self.streak = self.streak + 1 if good == self.last else 1
        self.last = good
        needed = ("successThreshold", 1) if good else ("failureThreshold", 3)
        if self.streak >= (self.spec or {}).get(*needed):
            self.passed, self.failed = good, not good


class Probes:
    """The three probes of a container; the other two wait for the startup probe."""

    def __init__(self, container: Container) -> None:
        def probe(name: str, *, passed: bool = False) -> Probe:
            spec = container.spec.get(name)
            return Probe(spec, lambda spec: succeeds(container, spec), passed=passed)

        self.startup = probe("startupProbe")
        self.readiness = probe("readinessProbe")
        self.liveness = probe("livenessProbe", passed=True)

    def step(self) -> None:
        """Run the checks that are due."""
        if not self.startup.passed:
            self.startup.step()
            return
        self.readiness.step()
        self.liveness.step()

    @property
    def ready(self) -> bool:
        """Whether a Service may send requests to the container."""
        return self.startup.passed and self.readiness.passed

    @property
    def failed(self) -> bool:
        """Whether the container has to be restarted."""
        return self.startup.failed or self.liveness.failed


def succeeds(container: Container, spec: dict) -> bool:
    """Return whether the check of a probe succeeds within its timeout."""
    timeout = spec.get("timeoutSeconds", 1)
    if "exec" in spec:
        return container.execute(spec["exec"]["command"], timeout) == 0
    if "tcpSocket" in spec:
        return _connects(container, spec["tcpSocket"], timeout)
    if "httpGet" in spec:
        return _gets(container, spec["httpGet"], timeout)
    raise ValueError(f"the rig does not support this probe: {', '.join(spec)}")


def _connects(container: Container, spec: dict, timeout: float) -> bool:
    place = spec.get("host") or container.address, container.port(spec["port"])
    try:
        socket.create_connection(place, timeout).close()
    except OSError:
        return False
    return True


def _gets(container: Container, spec: dict, timeout: float) -> bool:
    scheme, host = spec.get("scheme", "HTTP").lower(), spec.get("host")
    place = f"{host or container.address}:{container.port(spec['port'])}"
    headers = {each["name"]: each["value"] for each in spec.get("httpHeaders", [])}
    request = urllib.request.Request(
        f"{scheme}://{place}{spec.get('path', '/')}", headers=headers
    )
    unverified = ssl._create_unverified_context()  # noqa: S323 - as a kubelet does
    try:
        answer = urllib.request.urlopen(request, timeout=timeout, context=unverified)
    except (OSError, http.client.HTTPException):
        return False
    with answer:
        return answer.status < 400
