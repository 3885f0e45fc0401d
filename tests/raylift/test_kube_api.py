"""The API server's responses as raylift errors, from a real server on loopback."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from raylift.errors import (
    FailedPrecondition,
    InvalidInput,
    PermissionDenied,
    Unreachable,
)
from raylift.kube_api import Api
from raylift.kubeconfig import access, access_by

STATUS = {"kind": "Status", "message": "nodes is forbidden: no"}
ANSWERS = {
    "/list": (200, {"items": [{"kind": "Node"}]}),
    "/gone": (404, STATUS),
    "/unauthorized": (401, STATUS),
    "/forbidden": (403, STATUS),
    "/conflict": (409, STATUS),
    "/invalid": (422, STATUS),
    "/busy": (503, STATUS),
    "/portal": (200, "<html>Welcome</html>"),
    "/proxy": (502, "<html>\x1b[31mbad gateway</html>"),
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        code, body = ANSWERS[self.path.partition("?")[0]]
        text = body if isinstance(body, str) else json.dumps(body)
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text.encode())

    do_POST = do_PATCH = do_GET  # noqa: N815 as above

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def url():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def kubeconfig(url, **user):
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": url}}],
            "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        }
    )


@pytest.fixture
def api(url):
    with Api(access_by(kubeconfig(url, token="t"))) as api:
        yield api


def test_what_is_there_is_told_and_what_is_not_is_none(api):
    assert api.get("/list") == {"items": [{"kind": "Node"}]}
    assert api.items("/list") == [{"kind": "Node"}]
    assert api.get("/gone") is None
    assert api.items("/gone") == []


@pytest.mark.parametrize(
    ("path", "error", "text"),
    [
        (
            "/unauthorized",
            PermissionDenied,
            "API server denied access: nodes is",
        ),
        (
            "/forbidden",
            PermissionDenied,
            "API server denied access: nodes is",
        ),
        (
            "/invalid",
            FailedPrecondition,
            "rejected the request: nodes is",
        ),
        ("/busy", Unreachable, "is unavailable: nodes is forbidden: no"),
        ("/proxy", Unreachable, "is unavailable: <html>"),
    ],
)
def test_a_refusal_is_an_error_with_the_servers_reason(api, path, error, text):
    for ask in (
        lambda: api.get(path),
        lambda: api.create(path, {}),
        lambda: api.patch(path, {}, "merge-patch+json"),
    ):
        with pytest.raises(error, match=text) as caught:
            ask()
        assert "\x1b" not in str(caught.value)


def test_a_server_that_is_no_api_server_is_told(api):
    for ask in (lambda: api.items("/portal"), lambda: api.create("/portal", {})):
        with pytest.raises(
            FailedPrecondition, match=r"127\.0\.0\.1 is not a Kubernetes API"
        ):
            ask()


@pytest.mark.parametrize("path", ["/gone", "/conflict"])
def test_a_patch_that_comes_too_late_says_so(api, path):
    assert api.patch(path, {}, "merge-patch+json") is None
    assert api.patch("/list", {}, "merge-patch+json") == ANSWERS["/list"][1]


def test_a_server_that_is_not_there_does_not_answer():
    with (
        Api(access_by(kubeconfig("http://127.0.0.1:9"))) as api,
        pytest.raises(Unreachable, match="is unavailable"),
    ):
        api.get("/list")


CERTIFICATE = {"clientCertificateData": "x", "clientKeyData": "y"}
PLUGINS = {
    "it fails": ["false"],
    "it is not installed": ["gke-gcloud-auth-plugin"],
    "it says something else": ["echo", "no"],
    "it hands out a certificate": ["echo", json.dumps({"status": CERTIFICATE})],
}


@pytest.mark.parametrize("case", PLUGINS)
def test_a_plugin_that_makes_no_token_is_told(url, case):
    command, *arguments = PLUGINS[case]
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": command,
        "args": arguments,
        "interactiveMode": "Never",
    }
    with (
        Api(access_by(kubeconfig(url, exec=plugin))) as api,
        pytest.raises(PermissionDenied, match="no token for the Kubernetes API server"),
    ):
        api.get("/list")


UNUSABLE = {
    "empty": "",
    "a list": "[]",
    "no YAML": "a: [",
    "no such user": lambda text: text.replace('"user": "u"', '"user": "v"'),
    "no such cluster": lambda text: text.replace('"cluster": "c"', '"cluster": "d"'),
    "an old plugin": lambda text: text.replace(
        '"token": "t"', '"auth-provider": {"name": "gcp"}'
    ),
    "no certificate": lambda text: text.replace(
        '"server":', '"certificate-authority": "/none", "server":'
    ),
    "a wrong certificate": lambda text: text.replace(
        '"server":', '"certificate-authority-data": "eA==", "server":'
    ),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_a_kubeconfig_that_is_of_no_use_is_bad_input(tmp_path, url, case):
    change, path = UNUSABLE[case], tmp_path / "config"
    whole = kubeconfig(url.replace("http:", "https:"), token="t")
    path.write_text(change if isinstance(change, str) else change(whole))
    with pytest.raises(InvalidInput, match=r"raylift:kubernetes\.(kubeconfig|context)"):
        Api(access(str(path), None))


def test_a_context_that_is_not_there_names_those_that_are(tmp_path, url):
    path = tmp_path / "config"
    path.write_text(kubeconfig(url))
    assert access(str(path), None).cluster.server == url
    with pytest.raises(
        InvalidInput, match=r"'hree' is not in .* did you mean here"
    ) as e:
        access(str(path), "hree")
    assert e.value.hint == "use one of these contexts: here"


def test_a_kubeconfig_that_is_not_there_is_told(tmp_path):
    with pytest.raises(InvalidInput, match=r"kubernetes\.kubeconfig"):
        access(str(tmp_path / "none"), None)
