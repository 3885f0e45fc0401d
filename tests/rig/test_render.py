"""A stack whose manifests a GitOps tool applies, here kubectl."""

from __future__ import annotations

import json

import pytest
from kube import condition, kubectl, objects
from project import wait_until
from serving import Endpoints
from stack import project

pytestmark = [pytest.mark.rig, pytest.mark.long]

NAME, SPACE = "gitops", "gitops-ray"
FILE = f"""
config:
  raylift:target: kubernetes
  raylift:kubernetes: {{namespace: {SPACE}}}
  raylift:networkPolicy: {{apiServerCidrs: [192.0.2.10/32]}}
  raylift:faultTolerance: {{storageClassName: rig}}
  raylift:packageVolume: {{storageClassName: rig, size: 1Gi}}
  raylift:ray:
    operator: {{install: false, namespace: ray-system}}
    env: {{FLAG: no}}
    workerGroups:
      - {{name: workers, numCpus: 1, memory: 2Gi, minReplicas: 1, maxReplicas: 2}}
"""
APP = """
from ray import serve

@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Word:
    def __call__(self, request):
        return "WORD"

app = Word.bind()
"""


def _apply(manifests):
    words = ("--server-side", "--field-manager=gitops", "-f", "-")
    kubectl("apply", *words, text=manifests)


def _deploy(stack, word):
    (stack.folder / "app").mkdir(exist_ok=True)
    (stack.folder / "app" / "word.py").write_text(APP.replace("WORD", word))
    application = {
        "name": "word",
        "route_prefix": "/word",
        "import_path": "word:app",
        "runtime_env": {"working_dir": "app"},
    }
    config = json.dumps({"applications": [application]})
    (stack.folder / "serve.yaml").write_text(config, encoding="utf-8")
    stack.raylift("deploy")


def _clusters():
    return objects("-n", SPACE, "rayclusters")


def test_rendered_manifests_serve_applications(rig, api, tmp_path):
    service = Endpoints(api, SPACE, f"{NAME}-serve")
    with project(tmp_path, NAME, FILE) as stack:
        rendered = stack.raylift("render")
        assert f"do not contain Secret '{NAME}-packages'" in rendered.stderr
        manifests = rendered.stdout
        kubectl("create", "namespace", SPACE)
        secret = ("secret", "generic", f"{NAME}-packages", "--from-literal=token=t")
        kubectl("-n", SPACE, "create", *secret)
        _apply(manifests)
        wait_until(
            lambda: [condition(c, "HeadPodReady") for c in _clusters()] == ["True"]
        )
        _deploy(stack, "one")
        assert service.get("/word") == (200, "one")

        _apply(manifests)
        assert json.loads(stack.raylift("status", "--json").stdout)["healthy"]
        (ray_service,) = objects("-n", SPACE, "rayservice", NAME)
        assert "word:app" in ray_service["spec"]["serveConfigV2"]

        _apply(manifests.replace("maxReplicas: 2", "maxReplicas: 3"))
        _deploy(stack, "two")
        assert service.get("/word") == (200, "two")
        (cluster,) = _clusters()
        assert [g["maxReplicas"] for g in cluster["spec"]["workerGroupSpecs"]] == [3]
        kubectl("-n", SPACE, "delete", "rayservice", NAME, "--timeout=120s")
        kubectl("delete", "--ignore-not-found", "-f", "-", text=manifests)
    kubectl("delete", "namespace", SPACE, "--timeout=120s")
