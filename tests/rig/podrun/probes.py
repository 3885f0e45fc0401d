"""Probes of a container: what is asked, when, and what follows from the answers."""

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
    """One probe; without a specification it has passed."""

    def __init__(
        self, spec: dict | None, check: Callable[[dict], bool], *, passed: bool
    ) -> None:
        self.spec, self.check, self.passed = spec, check, passed or not spec
        self.due = time.monotonic() + (spec or {}).get("initialDelaySeconds", 0)
        self.last: bool | None = None
        self.streak = 0
        self.failed = False

    def step(self) -> None:
        """Asks, if it is time to."""
        if not self.spec or time.monotonic() < self.due:
            return
        self.due = time.monotonic() + self.spec.get("periodSeconds", 10)
        self.count(self.check(self.spec))

    def count(self, good: bool) -> None:
        """An answer counts when enough of its kind came one after another."""
        self.streak = self.streak + 1 if good == self.last else 1
        self.last = good
        needed = ("successThreshold", 1) if good else ("failureThreshold", 3)
        if self.streak >= (self.spec or {}).get(*needed):
            self.passed, self.failed = good, not good


class Probes:
    """The three of a container. The other two wait for the startup probe."""

    def __init__(self, container: Container) -> None:
        def probe(name: str, *, passed: bool = False) -> Probe:
            spec = container.spec.get(name)
            return Probe(spec, lambda spec: answers(container, spec), passed=passed)

        self.startup = probe("startupProbe")
        self.readiness = probe("readinessProbe")
        self.liveness = probe("livenessProbe", passed=True)

    def step(self) -> None:
        """Asks those whose time has come."""
        if not self.startup.passed:
            self.startup.step()
            return
        self.readiness.step()
        self.liveness.step()

    @property
    def ready(self) -> bool:
        """Whether a Service may send requests here."""
        return self.startup.passed and self.readiness.passed

    @property
    def failed(self) -> bool:
        """Whether the container has to be restarted."""
        return self.startup.failed or self.liveness.failed


def answers(container: Container, spec: dict) -> bool:
    """Whether what a probe asks for is so, within its timeout."""
    timeout = spec.get("timeoutSeconds", 1)
    if "exec" in spec:
        return container.execute(spec["exec"]["command"], timeout) == 0
    if "tcpSocket" in spec:
        return _connects(container, spec["tcpSocket"], timeout)
    if "httpGet" in spec:
        return _gets(container, spec["httpGet"], timeout)
    raise ValueError(f"a probe that the rig has not: {', '.join(spec)}")


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
