"""Test of real Ray, started by the real operator."""

from __future__ import annotations

import json
import zipfile

import pytest
from kube import apply, kubectl, objects
from load import Load
from project import wait_until
from serving import Endpoints, active, head_is_ready, token

pytestmark = pytest.mark.rig

IMAGE = "rayproject/ray:2.60.0"
PORTS = {"gcs-server": 6379, "dashboard": 8265, "client": 10001, "serve": 8000}
HELLO = """
from ray import serve

@serve.deployment(ray_actor_options={"num_cpus": 0.2})
class Hello:
    def __call__(self, request):
        return "hello"

app = Hello.bind()
"""


def template(name, **container):
    size = {"cpu": "1", "memory": "2Gi"}
    main = {"name": name, "image": IMAGE, "resources": {"limits": size}}
    return {"spec": {"containers": [{**main, **container}]}}


def ray_service(namespace):
    ports = [{"containerPort": port, "name": name} for name, port in PORTS.items()]
    workers = {"groupName": "cpu", "replicas": 1, "minReplicas": 1, "maxReplicas": 1}
    cluster = {
        "rayVersion": "2.60.0",
        "authOptions": {"mode": "token"},
        "headGroupSpec": {
            "rayStartParams": {"num-cpus": "0"},
            "template": template("ray-head", ports=ports),
        },
        "workerGroupSpecs": [
            {**workers, "rayStartParams": {}, "template": template("ray-worker")}
        ],
    }
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayService",
        "metadata": {"name": "demo", "namespace": namespace},
        "spec": {"excludeHeadPodFromServeSvc": True, "rayClusterConfig": cluster},
    }


def serve_config(folder):
    """Return a Serve config with code in a file that every pod of the rig can read."""
    with zipfile.ZipFile(folder / "hello.zip", "w") as file:
        file.writestr("hello.py", HELLO)
    working_dir = f"file://{folder}/hello.zip"
    application = {
        "name": "hello",
        "route_prefix": "/",
        "import_path": "hello:app",
        "runtime_env": {"working_dir": working_dir},
    }
    return json.dumps({"applications": [application]})


@pytest.mark.long
def test_the_operator_creates_a_cluster_that_serves_and_deletes_it(namespace, api, rig):
    apply(ray_service(namespace))
    wait_until(lambda: head_is_ready(namespace), seconds=90, every=0.5)
    patch = ray_service(namespace) | {"spec": {"serveConfigV2": serve_config(rig)}}
    apply(patch, manager="deployer")
    wait_until(
        lambda: active(namespace, "demo")[1].get("hello") == "RUNNING", seconds=90
    )
    assert token(namespace, active(namespace, "demo")[0])

    service = Endpoints(api, namespace, "demo-serve-svc")
    wait_until(service.addresses, seconds=30)
    with Load(service, "/") as load:
        wait_until(lambda: load.count("hello") > 20)
    assert load.lost == []

    kubectl("-n", namespace, "delete", "rayservice", "demo", "--timeout=60s")
    wait_until(lambda: not objects("-n", namespace, "pods"), seconds=60, every=0.5)
    assert objects("-n", namespace, "services") == []
