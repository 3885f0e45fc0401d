"""Requests that are passed on through the proxy of a double of the API server."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from raylift.errors import FailedPrecondition, Unreachable
from raylift.kube_api import Api
from raylift.kubeconfig import access_by
from raylift.outputs import KubernetesOutputs
from raylift.ray_service_client import RayServiceClient
from raylift.serve_runtime.ray_api.api_server_proxy import ApiServerProxy
from raylift.serve_runtime.ray_api.transport import Forwarded

OUTPUTS = KubernetesOutputs(
    "demo", "kubernetes", "", "ray", "2.60.0", "demo-serve", "", "", ""
)
CORE = "/api/v1/namespaces/ray"
APPLICATIONS = f"{CORE}/services/demo-serve:8000/proxy"
DASHBOARD = f"{CORE}/services/new-head-svc:8265/proxy"
OBJECTS = {
    f"{CORE}/secrets/new": {"data": {"auth_token": "dGhlLXRva2Vu"}},
    "/apis/ray.io/v1/namespaces/ray/rayservices/demo": {
        "status": {"activeServiceStatus": {"rayClusterName": "new"}}
    },
}


class ApiServer(BaseHTTPRequestHandler):
    """Returns some objects, and the requests that arrive at its proxy."""

    def do_GET(self):
        found = OBJECTS.get(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        seen = [self.command, self.path, dict(self.headers.items()), body.decode()]
        text = json.dumps(found or seen).encode()
        self.send_response(307 if self.path.endswith("/moved") else 200)
        there = f"{self.path.partition('/proxy')[0]}/proxy/there?x=1"
        self.send_header("Location", f"http://{self.headers['Host']}{there}")
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=h\xe9")
        extra = 100 if self.path.endswith("/cut") else 0
        self.send_header("Content-Length", str(len(text) + extra))
        self.end_headers()
        self.wfile.write(text)

    do_POST = do_GET  # noqa: N815 http.server's name

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def proxy():
    with ThreadingHTTPServer(("127.0.0.1", 0), ApiServer) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        entry = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "clusters": [
                {
                    "name": "x",
                    "cluster": {"server": f"http://127.0.0.1:{server.server_port}"},
                }
            ],
            "users": [{"name": "x", "user": {"token": "for-the-api-server"}}],
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        }
        with Api(access_by(json.dumps(entry))) as api:
            service = RayServiceClient(api, "ray", "demo")
            yield ApiServerProxy(service, OUTPUTS, lambda clusters: clusters.serving)
        server.shutdown()
        thread.join()


def _forward(proxy, to, path, *, method="GET", body=None, **headers):
    request = Forwarded(method, path, list(headers.items()), body)
    with proxy.forward(to, request) as response:
        text = b"".join(response.body)
        return response.status, response.headers, json.loads(text)


def test_a_request_reaches_the_service_of_the_applications(proxy):
    sent = {"method": "POST", "body": [b"te", b"xt"], "Content-Length": "4", "Own": "1"}
    status, _, received = _forward(proxy, "applications", "/a%2Fb?x=1", **sent)
    method, path, headers, body = received
    assert (status, method, body) == (200, "POST", "text")
    assert path == f"{APPLICATIONS}/a%2Fb?x=1"
    assert headers["Own"] == "1"
    assert headers["Accept-Encoding"] == "identity"


def test_headers_are_passed_on_as_they_are(proxy):
    sent = {"Own": "h\xc3\xa9", "Accept-Encoding": "gzip"}  # UTF-8, as bytes in latin-1
    _, received, (_, _, seen, _) = _forward(proxy, "applications", "/", **sent)
    assert seen["Own"] == sent["Own"]
    assert seen["Accept-Encoding"] == "gzip"
    cookies = [value for name, value in received if name == "set-cookie"]
    assert cookies == ["a=1", "b=h\xe9"]


def test_cookies_are_not_kept_for_other_requests(proxy):
    for _ in range(2):
        _, _, (_, _, seen, _) = _forward(proxy, "applications", "/")
        assert "Cookie" not in seen


def test_a_request_reaches_the_dashboard_of_the_serving_cluster_with_its_token(proxy):
    headers = {"Authorization": "Bearer of-the-browser"}
    _, _, (_, path, seen, _) = _forward(proxy, "dashboard", "/api/x", **headers)
    assert path == f"{DASHBOARD}/api/x"
    assert seen["X-Ray-Authorization"] == "Bearer the-token"
    assert seen["Authorization"] == "Bearer for-the-api-server"


def test_links_and_redirects_of_the_api_server_lead_to_the_relay(proxy):
    status, headers, _ = _forward(proxy, "applications", "/moved")
    assert (status, dict(headers)["location"]) == (307, "/there?x=1")
    _, _, (_, path, _, _) = _forward(proxy, "dashboard", f"{DASHBOARD}/static/x.js")
    assert path == f"{DASHBOARD}/static/x.js"


def test_credentials_for_an_application_are_refused(proxy):
    with pytest.raises(FailedPrecondition, match="does not pass on the header"):
        _forward(proxy, "applications", "/", authorization="Bearer mine")


def test_a_lost_connection_is_reported(proxy):
    with pytest.raises(Unreachable, match="the connection was lost"):
        _forward(proxy, "applications", "/cut")
