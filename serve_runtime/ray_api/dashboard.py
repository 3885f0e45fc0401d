"""A client of Ray's dashboard REST API.

Responses are parsed manually, because Ray's models reject the keys of newer versions of
Ray, which `raylift status` must accept.
"""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self

from raylift.errors import RayliftError, Unreachable
from raylift.outputs import NODE_LABEL, camel_case
from raylift.serve_runtime.ray_api.transport import Call

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from raylift.outputs import Outputs
    from raylift.serve_runtime.ray_api.transport import Response, Transport

# The Ray version whose keys and responses this package supports.
RAY_VERSION = "2.60"

_INVALID = re.compile(r"\d+ validation errors? for ")
_APPLICATIONS = "/api/serve/applications/"
# DELETE and the first PUT stop and start Serve, which took up to 32 s.
_SLOW_SECONDS = 90.0
# py-spy explains a wait, so it must not prolong it.
_STACK_SECONDS = 15.0


class Rejected(RayliftError):
    """Ray rejected a Serve config, which it may have applied in part."""


@dataclass(frozen=True, slots=True)
class RayNode:
    """A Ray node; `resources` are the totals under Ray's names."""

    node_id: str
    is_head: bool
    alive: bool
    resources: dict[str, float]
    labels: dict[str, str]

    @property
    def mark(self) -> str:
        """The value of NODE_LABEL; empty for the head and for dead nodes."""
        return self.labels.get(NODE_LABEL, "") if self.alive else ""


@dataclass(frozen=True, slots=True)
class CrashedWorker:
    """A process of Ray that exited unexpectedly; `detail` is Ray's description."""

    worker_id: str
    node_id: str
    detail: str


@contextlib.contextmanager
def _known_shape() -> Iterator[None]:
    """Raise Unreachable if a response has another shape, as in another Ray version."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError):
        raise Unreachable("Ray's dashboard responded in an unknown form") from None


class Dashboard:
    """A session with a dashboard, and a context manager that closes it.

    `timeout_s` is the timeout of a response; for PUT and DELETE, it is at least 90 s.
    """

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
        """Return `ray_version`, `session_name` and more."""
        return self._json("/api/version")

    def serve_details(self, wait_s: float | None = None) -> dict[str, Any]:
        """Return Ray's ServeInstanceDetails; `applications` is {} without Serve.

        `wait_s` overrides the session's timeout in seconds.
        """
        return self._json(_APPLICATIONS, wait_s=wait_s)

    def put_applications(self, document: dict[str, Any]) -> None:
        """Store a ServeDeploySchema as the desired state; Ray applies it later.

        Raises:
            Rejected: Ray rejected the config; it may have applied it in part.
            Unreachable: Ray did not respond; it may have stored the config.
        """
        response = self._send("PUT", _APPLICATIONS, json=document)
        if response.status != HTTPStatus.OK:
            raise Rejected(f"Ray rejected the config: {reason(response.text)}")

    def stop_serve(self) -> None:
        """Shut down Serve (applications, proxies, controller) and wait until done."""
        response = self._send("DELETE", _APPLICATIONS)
        if response.status != HTTPStatus.OK:
            raise Unreachable(f"cannot shut down Serve: {reason(response.text)}")

    def nodes(self) -> list[RayNode]:
        """Return all nodes that Ray lists, including dead ones."""
        return [
            RayNode(
                item["node_id"],
                bool(item.get("is_head_node")),
                item["state"] == "ALIVE",
                dict(item.get("resources_total") or {}),
                dict(item.get("labels") or {}),
            )
            for item in self._listed("/api/v0/nodes")
        ]

    @_known_shape()
    def has_unmet_demand(self, needs: Mapping[str, float]) -> bool:
        """Return whether Ray cannot grant a request for these resources now.

        Any placement group that waits counts as well, because it may be that of a
        replica. The autoscaler's monitor updates this every five seconds.
        """
        report = self._load_report()
        wanted = {camel_case(name): amount for name, amount in needs.items() if amount}
        demands = [dict(shape) for shape, *_ in report.get("resourceDemand") or []]
        return bool(report.get("pgDemand")) or any(
            {camel_case(name): n for name, n in demand.items() if n} == wanted
            for demand in demands
        )

    @_known_shape()
    def available(self, nodes: Iterable[RayNode]) -> dict[str, float]:
        """Return the resources that Ray could grant now, summed over all nodes.

        They exclude what placement groups, actors, tasks and jobs hold. The result is
        empty if Ray's autoscaler reports nothing.
        """
        # The dashboard converts keys to camel case.
        names = {camel_case(name): name for node in nodes for name in node.resources}
        usage = self._load_report().get("usage") or {}
        return {
            names.get(name, name): total - used for name, (used, total) in usage.items()
        }

    def _load_report(self) -> dict[str, Any]:
        data = self._json("/api/cluster_status?format=0").get("data") or {}
        return (data.get("clusterStatus") or {}).get("loadMetricsReport") or {}

    def log_tail(self, node_id: str, filename: str, *, lines: int) -> list[str]:
        """Return the last lines of a log file, or [] if it cannot be read."""
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

    @_known_shape()
    def crashed_workers(self) -> list[CrashedWorker]:
        """Return the workers that exited unexpectedly, newest first."""
        query = "detail=1&limit=10000&filter_keys=exit_type&filter_predicates=%3D"
        found = self._listed(f"/api/v0/workers?{query}&filter_values=SYSTEM_ERROR")
        newest = sorted(found, key=lambda item: -(item.get("end_time_ms") or 0))
        return [
            CrashedWorker(item["worker_id"], item["node_id"], item["exit_detail"] or "")
            for item in newest
        ]

    @_known_shape()
    def worker_errors(self, node_id: str, worker_id: str) -> list[str]:
        """Return the last lines that a worker wrote to stderr."""
        query = f"node_id={node_id}&glob=worker-{worker_id}-*.err"
        files = self._json(f"/api/v0/logs?{query}")["data"]["result"]
        names = [name for group in files.values() for name in group]
        return self.log_tail(node_id, names[0], lines=50) if names else []

    def stack_trace(self, node_id: str, pid: int) -> str:
        """Return a worker process's Python stack from py-spy, or "" without py-spy."""
        query = {"node_id": node_id, "pid": str(pid), "native": "0"}
        response = self._send(
            "GET", "/worker/traceback", fields=query, wait_s=_STACK_SECONDS
        )
        return response.text if response.status == HTTPStatus.OK else ""

    def metric_targets(self) -> list[str]:
        """Return the `host:port` of each Prometheus target."""
        response = self._send("GET", "/api/prometheus/sd")
        if response.status != HTTPStatus.OK:
            raise Unreachable(f"cannot list metric targets: {reason(response.text)}")
        groups = json.loads(response.text)
        return [target for group in groups for target in group["targets"]]

    def _listed(self, path: str) -> list[dict[str, Any]]:
        """Return the items of a list of Ray's state API."""
        items: list[dict[str, Any]] = self._json(path)["data"]["result"]["result"]
        return items

    def _json(self, path: str, *, wait_s: float | None = None) -> dict[str, Any]:
        response = self._send("GET", path, wait_s=wait_s)
        if response.status != HTTPStatus.OK:
            raise Unreachable(
                f"Ray's dashboard responded with {response.status} to {path}:"
                f" {reason(response.text)}",
                hint="run `raylift status`",
            )
        try:
            answer = json.loads(response.text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Unreachable(
                f"the server that responded to {path} is not Ray's dashboard"
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
    ) -> Response:
        if wait_s is None:
            changes = method != "GET"
            wait_s = max(self._timeout, _SLOW_SECONDS) if changes else self._timeout
        return self.transport.dashboard(Call(method, path, wait_s, json, fields))


def reason(text: str) -> str:
    """Return the most useful line of an error body, at most 500 characters.

    That is the last line of a traceback, the first validation error of pydantic with
    its location, and the first line of any other text.
    """
    with contextlib.suppress(ValueError, AttributeError):
        text = json.loads(text).get("msg", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    is_traceback = any(line.startswith('File "') for line in lines)
    if not lines:
        return "no reason given"
    if _INVALID.match(lines[0]):
        return ": ".join(lines[1:3])[:500]
    return (lines[-1] if is_traceback else lines[0])[:500]
