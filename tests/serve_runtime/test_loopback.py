"""Loopback against a dashboard that is slow, hung or gone."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from raylift.errors import Busy, Unreachable
from raylift.outputs import LocalOutputs
from raylift.serve_runtime.ray_api.loopback import Loopback
from raylift.serve_runtime.ray_api.transport import Call

LONG = 60.0


class Dashboard(ThreadingHTTPServer):
    """Answers once `ready` is set; its health check returns `health`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ready = threading.Event()
        self.health = 200
        self.requests: list[str] = []


class Handler(BaseHTTPRequestHandler):
    server: Dashboard

    def do_GET(self) -> None:
        status = self.server.health
        if self.path != "/api/gcs_healthz":
            self.server.requests.append(f"{self.command} {self.path}")
            self.server.ready.wait(LONG)
            status = 200
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"done"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET  # noqa: N815 http.server calls it by this name

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def dashboard():
    with Dashboard() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.ready.set()
        server.shutdown()


def session(port: int, **callbacks) -> Loopback:
    outputs = LocalOutputs(
        stack="local",
        target="local",
        dashboard_url=f"http://127.0.0.1:{port}",
        serve_host="127.0.0.1",
        serve_port=1,
        grpc_port=2,
        ingress="haproxy",
        ray_version="2.60.0",
        nodes=(),
        state_dir=Path(),
        token="t",
    )
    loopback = Loopback(outputs, **callbacks)
    loopback.report_s = 0.05
    return loopback


def test_a_slow_healthy_dashboard_is_waited_for_and_reported(dashboard):
    reports: list[str] = []

    def report(line: str) -> None:
        reports.append(line)
        if len(reports) == 10:
            dashboard.ready.set()

    loopback = session(dashboard.server_port, on_wait=report)
    answer = loopback.dashboard(Call("PUT", "/x", LONG, {"a": 1}))
    assert (answer.status, answer.text) == (200, '{"a": 1}')
    assert set(reports) <= {f"waiting for Ray's dashboard ({n} s)" for n in range(60)}
    assert len(reports) >= 10
    assert dashboard.requests == ["PUT /x"]


def test_a_query_reaches_the_dashboard_encoded(dashboard):
    dashboard.ready.set()
    loopback = session(dashboard.server_port)
    loopback.dashboard(Call("GET", "/x", LONG, fields={"file": "a/b c"}))
    assert dashboard.requests == ["GET /x?file=a%2Fb+c"]


def test_the_deadline_ends_the_wait_for_a_healthy_dashboard(dashboard):
    with pytest.raises(Busy, match="no response within 1 s"):
        session(dashboard.server_port).dashboard(Call("GET", "/x", 1))


def test_a_dashboard_that_fails_its_health_check_is_dead(dashboard):
    dashboard.health = 503
    loopback = session(dashboard.server_port)
    loopback.unhealthy_s = 0.2
    with pytest.raises(Unreachable, match="its health check fails") as caught:
        loopback.dashboard(Call("GET", "/x", LONG))
    assert not isinstance(caught.value, Busy)


def test_a_closed_port_is_reported_at_once():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Unreachable, match="connection refused"):
        session(port).dashboard(Call("GET", "/x", LONG))
