"""Inputs from public repositories and bug reports, on real Ray.

The stack has nodes of 4, 3 and 3 CPUs.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import zipfile

import pytest
from project import make_project, running, wait_until

pytestmark = pytest.mark.ray

CONFIG = """
raylift:target: local
raylift:nodeGroups: [{name: w, numCpus: 3, minSize: 2}]
raylift:ray: {head: {numCpus: 4}}
"""
PRICE = """
from ray import serve

@serve.deployment
class Price:
    def __call__(self, request):
        return VERSION

app = Price.bind()
"""
POLICY = """
from ray import serve
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

def nightly(ctx):
    return 2, {}

@serve.deployment(
    ray_actor_options={"num_cpus": 0.1},
    autoscaling_config=AutoscalingConfig(
        max_replicas=3, policy=AutoscalingPolicy(policy_function=nightly)
    ),
)
class Model:
    def __call__(self, request):
        return VERSION

app = Model.bind()
"""
SHARDED = """
import ray
from ray import serve

@ray.remote(num_cpus=1)
class Shard:
    def node(self):
        return ray.get_runtime_context().get_node_id()

@serve.deployment
class Sharded:
    def __init__(self):
        self.shards = [Shard.remote() for _ in range(5)]

    async def __call__(self, request):
        nodes = {await shard.node.remote() for shard in self.shards}
        return f"{VERSION} on {len(nodes)} nodes"

app = Sharded.bind()
"""
HEADERS = """
from fastapi import FastAPI, Response
from ray import serve

api = FastAPI()

@api.get("/answer")
def answer(n: int = 1):
    return Response(VERSION, headers={"x-big": "b" * n})

@serve.deployment(ray_actor_options={"num_cpus": 0.1})
@serve.ingress(api)
class Echo:
    pass

app = Echo.bind()
"""
BY_HAND = """
from ray import serve

@serve.deployment(ray_actor_options={"num_cpus": 0.1})
def hello(request):
    return VERSION

app = hello.bind()
serve.run(app, name="by-hand", route_prefix="/by-hand")
"""
ARGUMENTS = """
import argparse

VERSION = argparse.ArgumentParser().parse_args()
app = None
"""


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    project = make_project(tmp_path_factory.mktemp("nodes"), config=CONFIG)
    with running(project) as stack:
        yield stack


@pytest.fixture
def empty(nodes):
    """The stack without applications, before and after a test."""
    yield nodes
    if names := nodes.names():
        nodes.run("delete", *names)


def _write(project, name, code, **more):
    project.write(f"{name}/model.py", f"VERSION = 'v1'\n{code}")
    environment = {"working_dir": name, **more.pop("runtime_env", {})}
    application = {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": "model:app",
        "runtime_env": environment,
        **more,
    }
    project.write(f"{name}.yaml", json.dumps({"applications": [application]}))
    return f"{name}.yaml"


def test_an_application_that_ray_rejects_leaves_no_trace(empty):
    other = _write(empty, "other", PRICE)
    empty.run("deploy", other)
    pids = empty.replica_pids("other")
    missing = {"pip": "/no/where/requirements.txt"}  # may exist in an image
    rejected = empty.run(
        "deploy", _write(empty, "up", PRICE, runtime_env=missing), code=2
    )
    assert (
        "ValueError: /no/where/requirements.txt is not a valid file" in rejected.stderr
    )
    assert empty.names() == ["other"]
    change = _write(empty, "other", PRICE, runtime_env=missing)
    empty.run("deploy", change, code=2)
    # Ray builds the restored document again, but keeps the replicas.
    wait_until(lambda: empty.application("other")["status"] == "RUNNING")
    assert empty.replica_pids("other") == pids
    empty.run("deploy", _write(empty, "next", PRICE))


def test_an_invalid_application_of_another_tool_blocks_no_deploy(empty):
    empty.run("deploy", _write(empty, "mine", PRICE))
    theirs = {
        "name": "theirs",
        "route_prefix": "/theirs",
        "import_path": "x:app",
        "runtime_env": {"pip": "/no/where/requirements.txt"},
    }
    document = json.loads((empty.state_dir / "desired.json").read_text())
    assert empty.put(*document["applications"].values(), theirs) == 400
    assert empty.application("theirs")["status"] == "DEPLOYING"
    empty.run("deploy", _write(empty, "next", PRICE))
    assert empty.get("/next") == (200, "v1")
    missing = {"pip": "/nor/here/requirements.txt"}
    invalid = _write(empty, "invalid", PRICE, runtime_env=missing)
    assert "/nor/here/" in empty.run("deploy", invalid, code=2).stderr
    assert "invalid" not in empty.names()
    assert empty.get("/next") == (200, "v1")
    blocked = empty.run("delete", "mine", code=5)
    assert "cannot delete mine: Ray rejects application 'theirs'" in blocked.stderr
    assert empty.get("/mine") == (200, "v1")
    empty.run("delete", "theirs", "mine")
    assert empty.names() == ["next"]


def test_a_policy_in_the_code_is_deployed_as_it_is(empty):
    file = _write(empty, "night", POLICY)
    assert "default" not in empty.run("deploy", file).stdout
    assert empty.get("/night") == (200, "v1")
    assert "nothing to do" in empty.run("deploy", file).stderr


def test_an_exception_in_a_policy_is_named(empty):
    empty.write("raises/scaling.py", "def nightly(_):\n    raise KeyError('depth')\n")
    model = {"name": "Price", "num_replicas": "auto"}
    file = _write(
        empty,
        "raises",
        PRICE,
        deployments=[model],
        autoscaling_policy={"policy_function": "scaling:nightly"},
    )
    failed = empty.run("deploy", file, "--timeout", "30", code=6)
    assert "Serve's control loop fails: KeyError: 'depth' (" in failed.stderr


def test_a_surge_without_room_is_withdrawn(empty):
    bundles = {"name": "Sharded", "placement_group_bundles": [{"CPU": 1}] * 6}
    file = _write(empty, "sharded", SHARDED, deployments=[bundles])
    empty.run("deploy", file)
    assert empty.get("/sharded") == (200, "v1 on 2 nodes")
    empty.write("sharded/model.py", f"VERSION = 'v2'\n{SHARDED}")
    updated = empty.run("deploy", file)
    assert "continuing without the default max_surge_percent" in updated.stderr
    assert empty.get("/sharded") == (200, "v2 on 2 nodes")
    assert "nothing to do" in empty.run("deploy", file).stderr


def test_a_placement_group_that_never_fits_is_refused(empty):
    bundles = {
        "name": "Sharded",
        "placement_group_bundles": [{"CPU": 1}] * 6,
        "placement_group_strategy": "STRICT_PACK",
    }
    file = _write(empty, "sharded", SHARDED, deployments=[bundles])
    refused = empty.run("deploy", file, code=3)
    assert "needs 6 CPU, but the largest node has 4" in refused.stderr


def test_large_headers_pass_the_ingress_and_a_splitter(empty):
    empty.run("deploy", _write(empty, "echo", HEADERS))
    splitter = {
        "name": "front",
        "route_prefix": "/front",
        "import_path": "raylift.splitter:app",
        "deployments": [{"name": "Splitter", "user_config": {"arms": {"echo": 1}}}],
    }
    empty.write("front.yaml", json.dumps({"applications": [splitter]}))
    empty.run("deploy", "front.yaml")
    for route in ("/echo", "/front"):
        url = f"{route}/answer"
        assert _status(empty, url, {"cookie": "c" * 50_000}) == 200
        assert _status(empty, f"{url}?q={'q' * 16_000}", {}) == 200
        assert _status(empty, url, {f"x-{i}": "1" for i in range(300)}) == 200
        assert _status(empty, f"{url}?n=50000", {}) == 200


def _status(project, path, headers):
    connection = http.client.HTTPConnection(
        "127.0.0.1", project.ports["serve"], timeout=240
    )
    with contextlib.closing(connection):
        connection.request("GET", path, headers=headers)
        # http.client rejects a response header of this size.
        with connection.sock.makefile("rb") as answer:
            return int(answer.readline().split()[1])


def test_an_application_of_serve_run_is_reported_and_can_be_deleted(empty):
    empty.run("deploy", _write(empty, "runs", BY_HAND))
    empty.run("delete", "runs")
    status = empty.run("status").stdout
    assert "application 'by-hand' was created by serve.run in code" in status
    assert "deleted by-hand" in empty.run("delete", "by-hand").stdout
    assert empty.names() == []


def test_an_exit_during_import_is_explained(empty):
    failed = empty.run("deploy", _write(empty, "arguments", ARGUMENTS), code=6)
    assert "the process exited while importing the application" in failed.stderr
    assert "parses command-line arguments" in failed.stderr


def test_a_requirement_that_does_not_exist_is_named(empty):
    file = _write(empty, "pip", PRICE, runtime_env={"pip": ["raylift-no-such==9.9.9"]})
    failed = empty.run("deploy", file, code=6)
    assert "pip: No matching distribution found for raylift-no-such==9.9.9" in (
        failed.stderr
    )


def test_a_module_name_with_a_hyphen_is_deployed(empty):
    empty.write("hyphen/price-predict.py", f"VERSION = 'v1'\n{PRICE}")
    file = _write(empty, "hyphen", PRICE, import_path="price-predict:app")
    empty.run("deploy", file)
    assert empty.get("/hyphen") == (200, "v1")


IMPORTED = """
apiVersion: v1
kind: ConfigMap
---
apiVersion: ray.io/v1
kind: RayService
metadata: {name: imported}
spec:
  serveConfigV2: |
    x-replicas: &replicas {num_replicas: 1}
    applications:
      - name: imported
        route_prefix: /imported
        import_path: model.app
        runtime_env:
          working_dir: imported
          excludes: ["*.bin"]
          env_vars: {DB_PASSWORD: hunter1}
        deployments: [{<<: *replicas, name: Price}]
"""


def test_a_config_of_a_manifest_is_deployed_without_excluded_files_and_secrets(empty):
    _write(empty, "imported", PRICE)
    empty.write("imported/weights.bin", "large")
    empty.write("imported/data/rows.csv", "1")
    empty.write("imported/.rayignore", "data/")
    empty.write("service.yaml", IMPORTED)
    refused = empty.run("deploy", "service.yaml", code=2)
    assert "run `raylift import service.yaml > serve.yaml`" in refused.stderr
    config = empty.run("import", "service.yaml").stdout
    first = empty.run("deploy", str(empty.write("serve.yaml", config)))
    assert empty.get("/imported") == (200, "v1")
    desired = json.loads((empty.state_dir / "desired.json").read_text())
    uri = desired["applications"]["imported"]["runtime_env"]["working_dir"]
    package = uri.removeprefix("file://")
    assert zipfile.ZipFile(package).namelist() == ["model.py"]
    empty.write("serve.yaml", config.replace("hunter1", "hunter2"))
    plans = [empty.run("deploy", "--dry-run", *extra) for extra in ([], ["--json"])]
    shown = "".join(done.stdout + done.stderr for done in (first, *plans))
    assert "DB_PASSWORD: changed" in shown
    assert "hunter" not in shown
