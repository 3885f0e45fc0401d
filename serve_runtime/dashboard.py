"""Ray's REST API: the only HTTP to a dashboard.

Answers are parsed by hand into small values: Ray's own models refuse keys that a
newer Ray adds, and a status command must not.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import httpx2

from raylift.errors import Denied, RayliftError, Unreachable

if TYPE_CHECKING:
    from raylift.outputs import StackOutputs

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


class Dashboard:
    """A session with one dashboard; close it, or use it in a `with`."""

    def __init__(self, outputs: StackOutputs, *, timeout_s: float = 10.0) -> None:
        self._client = httpx2.Client(
            base_url=outputs.dashboard_url,
            headers={"Authorization": f"Bearer {outputs.token}"},
            timeout=timeout_s,
            # Loading certificates takes longer than the whole of a status.
            verify=outputs.dashboard_url.startswith("https:"),
            trust_env=False,  # a proxy of the environment must not see the token
        )
        self.outputs = outputs

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def version(self) -> dict[str, str]:
        """`ray_version`, `session_name` and more."""
        return self._json("GET", "/api/version")

    def serve_details(self) -> dict[str, Any]:
        """Ray's ServeInstanceDetails; `applications` is {} where Serve is not up."""
        return self._json("GET", _APPLICATIONS)

    def put_applications(self, document: dict[str, Any]) -> None:
        """Store a ServeDeploySchema as the goal; Ray works on it afterwards.

        Raises:
            Rejected: Ray says the config is wrong; nothing was changed.
            Unreachable: no answer; it may have been stored all the same.
        """
        response = self._send("PUT", _APPLICATIONS, json=document)
        if response.status_code != httpx2.codes.OK:
            raise Rejected(f"Ray refused the config: {_reason(response.text)}")

    def nodes(self) -> list[Node]:
        """Every node that Ray knows."""
        answer = self._json("GET", "/api/v0/nodes")
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
        response = self._send("GET", "/api/v0/logs/file", params=query)
        if response.status_code != httpx2.codes.OK:
            return []
        return response.text.splitlines()

    def stack_trace(self, node_id: str, pid: int) -> str:
        """The Python stack of a worker process, by py-spy; empty without it."""
        query = {"node_id": node_id, "pid": str(pid), "native": "0"}
        response = self._send("GET", "/worker/traceback", params=query)
        return response.text if response.status_code == httpx2.codes.OK else ""

    def _json(self, method: str, path: str) -> dict[str, Any]:
        response = self._send(method, path)
        if response.status_code != httpx2.codes.OK:
            raise Unreachable(
                f"Ray's dashboard answered {response.status_code} to {method} {path}:"
                f" {_reason(response.text)}",
                hint="raylift status",
            )
        try:
            answer = response.json()
        except json.JSONDecodeError:
            answer = None
        if not isinstance(answer, dict):
            raise Unreachable(f"{self._client.base_url}{path}: not Ray's dashboard")
        return answer

    def _send(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        params: dict[str, str] | None = None,
    ) -> httpx2.Response:
        timeout = _SLOW_SECONDS if method != "GET" else None
        try:
            request = self._client.build_request(method, path, json=json, params=params)
            if timeout:
                request.extensions["timeout"] = httpx2.Timeout(timeout).as_dict()
            response = self._client.send(request)
        except httpx2.TransportError as error:
            raise Unreachable(
                f"Ray's dashboard does not answer at {self._client.base_url}:"
                f" {_transport(error)}",
                hint=f"raylift up -s {self.outputs.stack}",
            ) from None
        if response.status_code in (httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN):
            missing = response.status_code == httpx2.codes.UNAUTHORIZED
            reason = "none was sent" if missing else "it is another cluster's"
            raise Denied(
                f"Ray's dashboard refused the token of stack '{self.outputs.stack}'"
                f" ({reason})",
                hint=f"raylift up -s {self.outputs.stack} --restart starts Ray with the"
                " token of the stack",
            )
        return response


def _transport(error: httpx2.TransportError) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "no answer in time"
    return (str(error) or type(error).__name__).removeprefix("[Errno 111] ").lower()


def _reason(text: str) -> str:
    """The telling line of an error body: a traceback's last, or the first."""
    with contextlib.suppress(ValueError, AttributeError):
        text = json.loads(text).get("msg", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return "no reason given"
    return (lines[-1] if "Traceback" in text else lines[0])[:500]
