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
FILES = {
    "a RayService": (SERVICE.partition("---\n")[2].partition("---\n")[2], "a RayService manifest", "raylift import"),
    "a RayCluster": ("apiVersion: ray.io/v1\nkind: RayCluster\n", "a RayCluster manifest", ""),
    "a Deployment": ("apiVersion: apps/v1\nkind: Deployment\n", "a Kubernetes manifest of kind Deployment", ""),
    "an InferenceService": ("apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\n", "a KServe InferenceService", ""),
    "an Anyscale service": ("name: a\nimage_uri: x/y:1\napplications: []\n", "an Anyscale service config", "remove image_uri and name"),
    "a SkyPilot task": ("resources: {accelerators: L4}\nrun: vllm serve\n", "a SkyPilot task", ""),
    "a SkyPilot service": ("service: {replicas: 2}\nresources: {}\nrun: x\n", "a SkyPilot task", ""),
    "a BentoML build file": ("service: 'service:svc'\ninclude: ['*.py']\n", "a BentoML build file", ""),
    "a Compose file": ("services: {web: {image: x}}\n", "a Docker Compose file", ""),
    "a stack file": ("config: {raylift:target: local}\n", "a stack file", "pass a Serve config"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_tool_is_named(project, name):
    text, what, hint = FILES[name]
    result = project.write(**{"serve.yaml": text}).run("deploy")
    assert result.code == 2
    assert result.errors == [f"serve.yaml: is {what}, not a Serve config"]
    assert hint in result.hints[0]


def test_import_prints_the_serve_config_of_a_manifest(project):
    result = project.write(**{"service.yaml": SERVICE}).run("import", "service.yaml")
    assert result.stdout == (
        'applications:\n  - {name: price, import_path: "price:app"}\n'
    )


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
