"""Ray's REST API: the only HTTP to a dashboard.

Answers are parsed by hand into small values: Ray's own models refuse keys that a
newer Ray adds, and a status command must not.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from raylift.errors import RayliftError, Unreachable
from raylift.outputs import NODE_LABEL

if TYPE_CHECKING:
    from raylift.outputs import Outputs
    from serve_runtime.transport import Answer, Transport

# The Ray whose keys and answers this package knows.
RAY_VERSION = "2.60"

_INVALID = re.compile(r"\d+ validation errors? for ")
_APPLICATIONS = "/api/serve/applications/"
# DELETE and a first PUT start or stop the whole of Serve: up to 32 s were seen.
_SLOW_SECONDS = 90.0


class Rejected(RayliftError):
    """Ray refused a Serve config and changed nothing."""


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


class Dashboard:
    """A session with one dashboard; close it, or use it in a `with`."""

    def __init__(
        self, outputs: Outputs, transport: Transport, *, timeout_s: float = 10.0
    ) -> None:
        self.outputs = outputs
        self.transport = transport
        self._timeout = timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.transport.close()

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
            raise Rejected(f"Ray refused the config: {reason(response.text)}")

    def stop_serve(self) -> None:
        """End all of Serve: applications, proxies, controller. Returns when done."""
        response = self._send("DELETE", _APPLICATIONS)
        if response.status != HTTPStatus.OK:
            raise Unreachable(f"Serve was not stopped: {reason(response.text)}")

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
            raise Unreachable(f"no metric targets: {reason(response.text)}")
        groups = json.loads(response.text)
        return [target for group in groups for target in group["targets"]]

    def _json(self, path: str, *, wait_s: float | None = None) -> dict[str, Any]:
        response = self._send("GET", path, wait_s=wait_s)
        if response.status != HTTPStatus.OK:
            raise Unreachable(
                f"Ray's dashboard answered {response.status} to {path}:"
                f" {reason(response.text)}",
                hint="raylift status",
            )
        try:
            answer = json.loads(response.text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Unreachable(f"what answers to {path} is not Ray's dashboard")
        return answer

    def _send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        fields: dict[str, str] | None = None,
        wait_s: float | None = None,
    ) -> Answer:
        wait_s = wait_s or (self._timeout if method == "GET" else _SLOW_SECONDS)
        return self.transport.dashboard(
            method, path, wait_s=wait_s, json=json, fields=fields
        )


def reason(text: str) -> str:
    """The telling line of an error body: a traceback's last, or the first.

    Of pydantic's that is the second, with what it says of it.
    """
    with contextlib.suppress(ValueError, AttributeError):
        text = json.loads(text).get("msg", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "no reason given"
    if _INVALID.match(lines[0]):
        return ": ".join(lines[1:3])[:500]
    return (lines[-1] if "Traceback" in text else lines[0])[:500]
