"""Ray's REST API: the only HTTP to a dashboard.

Answers are parsed by hand into small values: Ray's own models refuse keys that a
newer Ray adds, and a status command must not.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

import urllib3

from raylift.errors import Denied, RayliftError, Unreachable
from raylift.outputs import NODE_LABEL

if TYPE_CHECKING:
    from raylift.outputs import StackOutputs

# The Ray whose keys and answers this package knows.
RAY_VERSION = "2.60"

_APPLICATIONS = "/api/serve/applications/"
# DELETE and a first PUT start or stop the whole of Serve: up to 32 s were seen.
_SLOW_SECONDS = 90.0


class Rejected(RayliftError):
    """Ray refused a Serve config and changed nothing."""


class Busy(Unreachable):
    """The dashboard takes the question and gives no answer in time."""


@dataclass(frozen=True, slots=True)
class Node:
    """One Ray node: its id, its resources in Ray's words, its labels."""

    node_id: str
    is_head: bool
    alive: bool
    resources: dict[str, float]
    labels: dict[str, str]

    @property
    def mark(self) -> str:
        """Which node of the stack it is; empty for the head, or when it is dead."""
        return self.labels.get(NODE_LABEL, "") if self.alive else ""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    text: str


class Dashboard:
    """A session with one dashboard; close it, or use it in a `with`."""

    def __init__(self, outputs: StackOutputs, *, timeout_s: float = 10.0) -> None:
        self.outputs = outputs
        self._timeout = timeout_s
        # urllib3 takes no proxy from the environment: it must not see the token.
        self._pool = urllib3.PoolManager(
            headers={"Authorization": f"Bearer {outputs.token}"}, retries=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.clear()

    def version(self) -> dict[str, str]:
        """`ray_version`, `session_name` and more."""
        return self._json("/api/version")

    def serve_details(self, wait_s: float | None = None) -> dict[str, Any]:
        """Ray's ServeInstanceDetails; `applications` is {} where Serve is not up.

        `wait_s` is how long to wait for it, where that is not as long as usual.
        """
        return self._json(_APPLICATIONS, wait_s=wait_s)

    def put_applications(self, document: dict[str, Any]) -> None:
        """Store a ServeDeploySchema as the goal; Ray works on it afterwards.

        Raises:
            Rejected: Ray says the config is wrong; nothing was changed.
            Unreachable: no answer; it may have been stored all the same.
        """
        response = self._send("PUT", _APPLICATIONS, json=document)
        if response.status != HTTPStatus.OK:
            raise Rejected(f"Ray refused the config: {_reason(response.text)}")

    def stop_serve(self) -> None:
        """End all of Serve: applications, proxies, controller. Returns when done."""
        response = self._send("DELETE", _APPLICATIONS)
        if response.status != HTTPStatus.OK:
            raise Unreachable(f"Serve was not stopped: {_reason(response.text)}")

    def nodes(self) -> list[Node]:
        """Every node that Ray knows."""
        answer = self._json("/api/v0/nodes")
        return [
            Node(
                item["node_id"],
                bool(item.get("is_head_node")),
                item["state"] == "ALIVE",
                dict(item.get("resources_total") or {}),
                dict(item.get("labels") or {}),
            )
            for item in answer["data"]["result"]["result"]
        ]

    def log_tail(self, node_id: str, filename: str, *, lines: int) -> list[str]:
        """The last lines of a log file on a node."""
        query = {
            "node_id": node_id,
            "filename": filename.lstrip("/"),
            "lines": str(lines),
            "format": "text",
        }
        response = self._send("GET", "/api/v0/logs/file", fields=query)
        if response.status != HTTPStatus.OK:
            return []
        return response.text.splitlines()

    def stack_trace(self, node_id: str, pid: int) -> str:
        """The Python stack of a worker process, by py-spy; empty without it."""
        query = {"node_id": node_id, "pid": str(pid), "native": "0"}
        response = self._send("GET", "/worker/traceback", fields=query)
        return response.text if response.status == HTTPStatus.OK else ""

    def metric_targets(self) -> list[str]:
        """`host:port` of everything that Prometheus should scrape."""
        response = self._send("GET", "/api/prometheus/sd")
        if response.status != HTTPStatus.OK:
            raise Unreachable(f"no metric targets: {_reason(response.text)}")
        groups = json.loads(response.text)
        return [target for group in groups for target in group["targets"]]

    def _json(self, path: str, *, wait_s: float | None = None) -> dict[str, Any]:
        response = self._send("GET", path, wait_s=wait_s)
        if response.status != HTTPStatus.OK:
            raise Unreachable(
                f"Ray's dashboard answered {response.status} to {path}:"
                f" {_reason(response.text)}",
                hint="raylift status",
            )
        try:
            answer = json.loads(response.text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Unreachable(
                f"{self.outputs.dashboard_url}{path}: not Ray's dashboard"
            )
        return answer

    def _send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        fields: dict[str, str] | None = None,
        wait_s: float | None = None,
    ) -> _Answer:
        url = f"{self.outputs.dashboard_url}{path}"
        timeout = wait_s or (self._timeout if method == "GET" else _SLOW_SECONDS)
        try:
            if json is not None:
                response = self._pool.request(method, url, json=json, timeout=timeout)
            else:
                response = self._pool.request(
                    method, url, fields=fields, timeout=timeout
                )
        except urllib3.exceptions.HTTPError as error:
            waited = isinstance(error, urllib3.exceptions.ReadTimeoutError)
            raise (Busy if waited else Unreachable)(
                f"Ray's dashboard does not answer at {self.outputs.dashboard_url}:"
                f" {_transport(error)}",
                hint=f"raylift up -s {self.outputs.stack}",
            ) from None
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            missing = response.status == HTTPStatus.UNAUTHORIZED
            reason = "none was sent" if missing else "it is another cluster's"
            raise Denied(
                f"Ray's dashboard refused the token of stack '{self.outputs.stack}'"
                f" ({reason})",
                hint=f"raylift up -s {self.outputs.stack} --restart starts Ray with the"
                " token of the stack",
            )
        return _Answer(response.status, response.data.decode(errors="replace"))


def _transport(error: Exception) -> str:
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return "connection refused"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "no answer in time"
    return "the connection broke"


def _reason(text: str) -> str:
    """The telling line of an error body: a traceback's last, or the first."""
    with contextlib.suppress(ValueError, AttributeError):
        text = json.loads(text).get("msg", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "no reason given"
    return (lines[-1] if "Traceback" in text else lines[0])[:500]
