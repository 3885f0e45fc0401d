"""The stacks that `status --all` lists, from ConfigMaps and RayServices."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import typer

from raylift.cli.commands import status
from raylift.infra.kubernetes.stack_list import ListedStack, list_stacks


def _metadata(stack, name=None):
    labels = {"raylift.io/stack": stack}
    return {"name": name or stack, "namespace": "ray", "labels": labels}


def _config_map(stack, **outputs):
    values = {
        "version": 1,
        "stack": stack,
        "target": "kubernetes",
        "cluster": "c",
        "namespace": "ray",
        "project": "shop",
        "rayVersion": "2.60.0",
        "serveService": f"{stack}-serve",
    } | outputs
    metadata = _metadata(stack, f"{stack}-raylift")
    return {"metadata": metadata, "data": {"outputs.json": json.dumps(values)}}


def _service(stack, **status):
    return {"metadata": _metadata(stack), "status": status}


def _cluster(name, **applications):
    statuses = {app: {"status": state} for app, state in applications.items()}
    return {"rayClusterName": name, "applicationStatuses": statuses}


SERVED = {
    "configmaps": [
        _config_map("prod"),
        _config_map("broken", rayVersion=2),
        _config_map("first", project="\x1b[31m[/red]\nerror: forged"),
        _config_map("idle"),
        {"metadata": _metadata("prod", "unrelated"), "data": {}},
    ],
    "rayservices": [
        _service(
            "prod",
            activeServiceStatus=_cluster("a", x="RUNNING", y="RUNNING", z="UNHEALTHY"),
            pendingServiceStatus=_cluster("b", x="DEPLOYING"),
        ),
        _service(
            "first",
            activeServiceStatus={},
            pendingServiceStatus=_cluster("a", x="DEPLOY_FAILED", y=None),
        ),
        {"metadata": _metadata("idle")},
    ],
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        kind = self.path.partition("?")[0].rpartition("/")[2]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"items": SERVED[kind]}).encode())

    def log_message(self, *_):
        pass


@pytest.fixture(autouse=True)
def cluster(tmp_path, monkeypatch):
    """Serve the objects as an API server does, in the context `here`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    config = {
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_stacks_are_listed_with_the_applications_of_the_serving_cluster():
    context, stacks = list_stacks()
    assert context == "here"
    assert [stack.name for stack in stacks] == ["broken", "first", "idle", "prod"]
    broken, first, idle, prod = stacks
    assert "ConfigMap 'broken-raylift' does not describe a stack" in broken.problem
    assert first.applications == {"DEPLOY_FAILED": 1}
    assert idle.applications == {}
    states = {"RUNNING": 2, "UNHEALTHY": 1}
    assert prod == ListedStack("prod", "ray", "shop", "2.60.0", states)


def test_text_from_the_cluster_cannot_forge_output(capsys):
    with pytest.raises(typer.Exit):
        status.run_all(watch=False, as_json=False)
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert not any(line.startswith("error") for line in shown.splitlines())
    assert "2 RUNNING, 1 UNHEALTHY" in shown
