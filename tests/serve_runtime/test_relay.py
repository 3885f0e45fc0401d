"""The relay, in front of real HTTP servers that stand for a stack."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from background import serving

from raylift.outputs import LocalOutputs
from raylift.serve_runtime.ray_api.loopback import Loopback
from raylift.serve_runtime.ray_api.relay import Relay

WAIT = 60.0


class Stack(BaseHTTPRequestHandler):
    """A stack that returns what it receives, except at some paths."""

    protocol_version = "HTTP/1.1"
    released: threading.Event

    def do_GET(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        seen = [self.command, self.path, dict(self.headers.items()), body.decode()]
        match self.path:
            case "/stream" | "/cut":
                self._stream(cut=self.path == "/cut")
            case "/empty":
                self.send_response(204)
                self.end_headers()
            case _:
                text = json.dumps(seen).encode()
                self.send_response(404 if self.path == "/missing" else 200)
                self.send_header("Set-Cookie", "a=1")
                self.send_header("Set-Cookie", "b=2")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(text)

    do_HEAD = do_POST = do_PATCH = do_PROPFIND = do_GET  # noqa: N815 http.server's names

    def _stream(self, *, cut):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        assert self.released.wait(WAIT)
        self.close_connection = True
        if not cut:
            self.wfile.write(b"4\r\nlast\r\n0\r\n\r\n")

    def log_message(self, *_):
        pass


@pytest.fixture
def released():
    return threading.Event()


@pytest.fixture
def transport(released):
    kind = type("Stack", (Stack,), {"released": released})
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), kind)) as server:
        yield Loopback(
            LocalOutputs(
                stack="local",
                target="local",
                dashboard_url=f"http://127.0.0.1:{server.server_port}",
                serve_host="127.0.0.1",
                serve_port=server.server_port,
                grpc_port=2,
                ingress="haproxy",
                ray_version="2.60.0",
                nodes=(),
                state_dir=Path(),
                token="the-token",
            )
        )
        released.set()


@pytest.fixture
def relay(transport):
    with serving(Relay(transport, "applications", port=0)) as relay:
        yield relay


@pytest.fixture
def dashboard(transport):
    with serving(Relay(transport, "dashboard", port=0)) as relay:
        yield relay


@contextlib.contextmanager
def _connected(relay):
    connection = http.client.HTTPConnection("127.0.0.1", relay.server_port, WAIT)
    with contextlib.closing(connection):
        yield connection


def _request(relay, method="GET", path="/", body=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with _connected(relay) as connection:
        connection.request(method, path, body=body, headers=named)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "PROPFIND"])
def test_method_path_headers_and_body_arrive_unchanged(relay, method):
    path = "/a%2Fb//c?x=1&y=%20"
    body = "x" * 200_000
    headers = {"Authorization": "Bearer mine", "X_Own": "1", "Connection": "close"}
    code, received, text = _request(relay, method, path, body, **headers)
    assert code == 200
    seen_method, seen_path, seen, seen_body = json.loads(text)
    assert (seen_method, seen_path, seen_body) == (method, path, body)
    assert seen["Authorization"] == "Bearer mine"
    assert seen["X-Own"] == "1"
    assert received.get_all("Set-Cookie") == ["a=1", "b=2"]


def test_errors_and_empty_responses_are_passed_on(relay):
    assert _request(relay, path="/missing")[0] == 404
    code, _, text = _request(relay, path="/empty")
    assert (code, text) == (204, b"")
    code, headers, text = _request(relay, "HEAD")
    assert (code, text) == (200, b"")
    assert int(headers["Content-Length"]) > 0


def test_a_connection_serves_several_requests(relay):
    with _connected(relay) as connection:
        for number in range(3):
            connection.request("POST", f"/{number}", body="x")
            assert json.loads(connection.getresponse().read())[1] == f"/{number}"


def test_a_response_is_streamed(relay, released):
    with _connected(relay) as connection:
        connection.request("GET", "/stream")
        response = connection.getresponse()
        assert response.read(5) == b"first"
        released.set()
        assert response.read() == b"last"


def test_a_response_that_ends_early_is_incomplete_for_the_client(relay, released):
    released.set()
    with _connected(relay) as connection:
        connection.request("GET", "/cut")
        with pytest.raises(http.client.IncompleteRead):
            connection.getresponse().read()


def test_without_a_response_the_client_gets_an_error(transport):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    gone = Loopback(
        type("Outputs", (), {"serve_url": f"http://127.0.0.1:{port}", "stack": "x"})()
    )
    with serving(Relay(gone, "applications", port=0)) as relay:
        code, _, text = _request(relay)
    assert (code, text) == (502, f"http://127.0.0.1:{port} does not respond\n".encode())


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": ""}, 403),
        ({"Upgrade": "websocket", "Connection": "Upgrade"}, 501),
        ({"Transfer_Encoding": "chunked"}, 411),
        ({"Content_Length": "x"}, 400),
    ],
)
def test_other_requests_are_refused(relay, headers, code):
    assert _request(relay, **headers)[0] == code


@pytest.mark.parametrize(
    "path",
    [
        "/../secrets",
        "/a/../../b",
        "/%2e%2e/b",
        "/.%2E/b",
        "/a/..",
        "@evil.example/",
        "x",
    ],
)
def test_a_path_never_leaves_the_stack(relay, path):
    code, _, text = _request(relay, path=path)
    assert (code, text[:14]) == (400, b"the path must ")


def test_a_query_may_contain_dots(relay):
    assert _request(relay, path="/a..b/...?to=/../x")[0] == 200


def test_an_incomplete_request_is_not_waited_for(relay):
    client = socket.create_connection(("127.0.0.1", relay.server_port), WAIT)
    host = f"Host: 127.0.0.1:{relay.server_port}"
    for size in (9, 9_000_000):
        with contextlib.closing(client):
            head = f"POST / HTTP/1.1\r\n{host}\r\nContent-Length: {size}\r\n\r\nhalf"
            client.sendall(head.encode())
            client.shutdown(socket.SHUT_WR)
            assert client.recv(100).startswith(b"HTTP/1.1 502 ")
        client = socket.create_connection(("127.0.0.1", relay.server_port), WAIT)
    client.close()


# -- the dashboard ---------------------------------------------------------------


def _cookie(dashboard):
    code, headers, _ = _request(dashboard, path=f"/?key={dashboard.key}")
    assert (code, headers["Location"]) == (303, "/")
    assert "HttpOnly; SameSite=Strict" in headers["Set-Cookie"]
    return headers["Set-Cookie"].partition(";")[0]


def test_the_dashboard_gets_the_token_of_the_stack(dashboard):
    cookie = _cookie(dashboard)
    code, _, text = _request(dashboard, path="/api/x", Cookie=f"mine=1; {cookie}")
    assert code == 200
    _, path, seen, _ = json.loads(text)
    assert path == "/api/x"
    assert seen["Authorization"] == "Bearer the-token"
    assert seen["Cookie"] == "mine=1"


def test_two_relays_have_different_cookies(dashboard, transport):
    with serving(Relay(transport, "dashboard", port=0)) as other:
        cookies = f"{_cookie(other)}; x={{; {_cookie(dashboard)}"
        assert _request(dashboard, Cookie=cookies)[0] == 200
        assert _request(other, Cookie=cookies)[0] == 200


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/", {}),
        ("/?key=", {}),
        ("/?key=wrong", {}),
        ("/", {"Cookie": "raylift_key_1=wrong"}),
        ("/", {"Cookie": "raylift_key_PORT="}),
        ("/", {"Cookie": "\x00;=;raylift_key_PORT"}),
    ],
)
def test_the_dashboard_requires_the_key(dashboard, path, headers):
    port = str(dashboard.server_port)
    sent = {name: value.replace("PORT", port) for name, value in headers.items()}
    assert _request(dashboard, path=path, **sent)[0] == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_other_sites_cannot_use_the_dashboard(dashboard, site):
    cookie = _cookie(dashboard)
    headers = {"Cookie": cookie, "Sec_Fetch_Site": site}
    assert _request(dashboard, "POST", **headers)[0] == 403
    assert _request(dashboard, path=f"/?key={dashboard.key}", **headers)[0] == 403


def test_the_relay_of_applications_accepts_other_sites(relay):
    assert _request(relay, Sec_Fetch_Site="same-site")[0] == 200
