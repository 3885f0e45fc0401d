"""Files of other tools, and the Serve config in a RayService manifest."""

# ruff: noqa: E501 a case is a line

from __future__ import annotations

import pytest

SERVICE = """\
# a comment
---
apiVersion: v1
kind: ConfigMap
---
apiVersion: ray.io/v1
kind: RayService
metadata: {name: price}
spec:
  serveConfigV2: |
    applications:
      - {name: price, import_path: "price:app"}
"""
RAY_SERVICE = SERVICE.partition("---\n")[2].partition("---\n")[2]
IMPORT = "run `raylift import serve.yaml > imported.yaml`"
FILES = {
    "a RayService": (RAY_SERVICE, "is a RayService manifest", IMPORT),
    "a RayService without a version": ("kind: RayService\nspec: {}\n", "is a RayService manifest", IMPORT),
    "a list of manifests": ("kind: List\nitems: [{kind: RayService}]\n", "is a RayService manifest", IMPORT),
    "several manifests": (SERVICE, "contains a RayService manifest", IMPORT),
    "a spec": ("spec: {serveConfigV2: 'applications: []'}\n", "is a part of a RayService manifest", IMPORT),
    "serveConfigV2": ("serveConfigV2: 'applications: []'\n", "is a part of a RayService manifest", IMPORT),
    "a RayCluster": ("apiVersion: ray.io/v1\nkind: RayCluster\n", "is a RayCluster manifest", "raylift up"),
    "a RayJob": ("apiVersion: ray.io/v1\nkind: RayJob\n", "is a RayJob manifest", "ray job submit"),
    "a Deployment": ("apiVersion: apps/v1\nkind: Deployment\n", "is a Kubernetes manifest of kind Deployment", ""),
    "an InferenceService": ("apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n", "is a KServe InferenceService", ""),
    "an InferenceService and a Secret": ("apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n---\napiVersion: v1\nkind: Secret\n", "contains a KServe InferenceService", ""),
    "an Anyscale service": ("name: a\nimage_uri: x/y:1\napplications: []\n", "is an Anyscale service config", "remove image_uri, name"),
    "an Anyscale service without an image": ("name: a\nworking_dir: .\nrequirements: [a]\napplications: []\n", "is an Anyscale service config", "remove name, requirements, working_dir"),
    "a SkyPilot task": ("resources: {accelerators: L4}\nrun: vllm serve\n", "is a SkyPilot task", ""),
    "a small SkyPilot task": ("name: a\nrun: vllm serve\n", "is a SkyPilot task", ""),
    "a SkyPilot service": ("service: {replicas: 2}\nresources: {}\nrun: x\n", "is a SkyPilot task", ""),
    "a BentoML build file": ("service: 'service:svc'\ninclude: ['*.py']\n", "is a BentoML file", ""),
    "a BentoML deployment": ("name: a\nbento: x:1\nservices: {S: {}}\n", "is a BentoML file", ""),
    "a Compose file": ("services: {web: {image: x}}\n", "is a Docker Compose file", ""),
    "a stack file": ("config: {raylift:target: local}\n", "is a stack file", "pass a Serve config"),
}  # fmt: skip
UNKNOWN = {
    "a Ray cluster launcher file": ("cluster_name: a\nprovider: {}\n", "cluster_name, provider"),
    "an LLM config": ("model_loading_config: {}\nengine_kwargs: {}\n", "model_loading_config, engine_kwargs"),
    "Helm values": ("replicaCount: 1\nimage: {}\na: 1\nb: 2\nc: 3\nd: 4\n", "replicaCount, image, a, b, c, …"),
    "a runtime_env": ("pip: [a]\n", "pip"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNKNOWN)
def test_a_file_without_any_known_key_is_one_problem(project, name):
    text, keys = UNKNOWN[name]
    result = project.write(**{"serve.yaml": text}).run("deploy")
    expected = f"is not a Serve config: has no applications, only {keys}"
    assert (result.code, result.errors) == (2, [f"serve.yaml: {expected}"])


def test_a_misspelled_key_is_not_another_file(project):
    text = "aplications: []\n"
    result = project.write(**{"serve.yaml": text}).run("deploy")
    assert any("did you mean applications?" in each for each in result.errors)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_tool_is_named(project, name):
    text, what, hint = FILES[name]
    result = project.write(**{"serve.yaml": text}).run("deploy")
    assert result.code == 2
    assert result.errors == [f"serve.yaml: {what}, not a Serve config"]
    assert hint in result.hints[0]


CONFIG = 'applications:\n  - {name: price, import_path: "price:app"}\n'
PART = f"serveConfigV2: |\n  {CONFIG}".replace("\n  -", "\n    -")
MANIFESTS = {
    "several documents": SERVICE,
    "serveConfigV2": PART,
    "a spec": "spec:\n  " + PART.replace("\n", "\n  "),
    "a list": "kind: List\nitems:\n- kind: RayService\n  spec:\n    " + PART.replace("\n", "\n    "),
}  # fmt: skip


@pytest.mark.parametrize("name", MANIFESTS)
def test_import_prints_the_serve_config_of_a_manifest(project, name):
    written = project.write(**{"service.yaml": MANIFESTS[name]})
    assert written.run("import", "service.yaml").stdout == CONFIG


def test_an_import_path_with_a_dot_is_one_with_a_colon(project):
    text = "applications:\n- {import_path: main.app, runtime_env: {working_dir: .}}\n"
    assert project.write(**{"serve.yaml": text}).run("deploy").code == 3  # no stack


@pytest.mark.parametrize("key", ["common", ".common", "_common", "x_common"])
def test_a_key_that_holds_anchors_can_be_named_so(project, key):
    text = f"{key}: &c {{a: 1}}\napplications:\n- {{import_path: 'main:app'}}\n"
    result = project.write(**{"serve.yaml": text}).run("deploy")
    assert "only holds YAML anchors, name it x-" in result.errors[0]


CANNOT_IMPORT = {
    "no RayService": "kind: ConfigMap\n",
    "no Serve config": "kind: RayService\nspec: {}\n",
    "no spec": "kind: RayService\n",
    "two of them": f"{SERVICE}---\n{SERVICE}",
    "a list": "[1, 2]\n",
}


@pytest.mark.parametrize("name", CANNOT_IMPORT)
def test_what_has_no_serve_config_cannot_be_imported(project, name):
    result = project.write(**{"x.yaml": CANNOT_IMPORT[name]}).run("import", "x.yaml")
    assert result.code == 2
    assert "must contain one RayService with spec.serveConfigV2" in result.errors[0]


BROKEN = {
    "YAML that is not": (SERVICE.replace("- {name", "- }name"), "invalid YAML"),
    "the second document": ("kind: A\n---\nkind: [\n", "x.yaml:4: invalid YAML"),
    "a Serve config that is not": (SERVICE.replace('"price:app"}', "["), "spec.serveConfigV2"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_invalid_yaml_in_a_manifest_is_reported(project, name):
    text, expected = BROKEN[name]
    result = project.write(**{"x.yaml": text}).run("import", "x.yaml")
    assert result.code == 2
    assert expected in result.errors[0]


def test_keys_that_hold_anchors_are_ignored(project):
    text = (
        "x-common: &common {num_replicas: 2}\n"
        "applications:\n  - import_path: main:app\n    runtime_env: {working_dir: .}\n"
        "    deployments: [{<<: *common, name: A}]\n"
    )
    assert project.write(**{"serve.yaml": text}).run("deploy").code == 3  # no stack
