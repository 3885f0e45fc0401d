"""The manifests of `raylift render` and the resources of the program are the same."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys

import options
import pytest
import yaml
from recording import record

from raylift.errors import InvalidInput
from raylift.infra.kubernetes.cluster_info import ClusterInfo, FoundOperator
from raylift.infra.kubernetes.config import KubernetesConfig
from raylift.infra.kubernetes.render import manifests

COMPLETE = {
    "ray": {
        "operator": {"install": False, "namespace": "kuberay"},
        "env": {"FLAG": "no", "Y": "1", "TIME": "12:30:45", "RATIO": "1_0:30.5"},
    },
    "networkPolicy": {"apiServerCidrs": ["192.0.2.10/32"]},
    "faultTolerance": {"storageClassName": "standard"},
    "packageVolume": {"storageClassName": "standard"},
}
CHOICES = options.covering("kubernetes", 30)


def _config(choice):
    """Return the configuration of a choice, completed so that it can be rendered."""
    config = options.config_of("kubernetes", choice)
    values = config.model_dump(by_alias=True, exclude_unset=True)
    values.setdefault("ray", {}).setdefault("operator", {})["install"] = False
    values["ray"]["operator"].pop("featureGates", None)
    values["ray"].pop("secretEnv", None)
    values["ray"]["operator"].setdefault("namespace", "kuberay")
    policy = values.setdefault("networkPolicy", {})
    policy.setdefault("apiServerCidrs", ["192.0.2.10/32"])
    values.setdefault("observability", {}).setdefault("prometheus", False)
    for section in ("faultTolerance", "packageVolume"):
        found = values.setdefault(section, {} if section == "faultTolerance" else None)
        if found is not None and found.get("gcsStorage", "rocksdb") == "rocksdb":
            found.setdefault("storageClassName", "standard")
    return KubernetesConfig.model_validate(values)


def _as_rendered(inputs):
    """Return an object without annotations for Pulumi, and the UID of no Secret."""
    inputs = copy.deepcopy(inputs)
    if inputs["kind"] == "Deployment":
        inputs["spec"]["template"]["metadata"]["annotations"]["raylift.io/token"] = ""
    metadata = dict(inputs["metadata"])
    annotations = metadata.pop("annotations", {})
    if kept := {k: v for k, v in annotations.items() if "pulumi.com" not in k}:
        metadata["annotations"] = kept
    return inputs | {"metadata": metadata}


@pytest.mark.parametrize("choice", CHOICES, ids=range(len(CHOICES)))
def test_the_manifests_are_the_objects_of_the_program(choice):
    config = _config(choice)
    info = ClusterInfo(
        operator=FoundOperator("", config.ray.operator.namespace),
        has_prometheus=config.observability.prometheus is True,
    )
    program = record(config, info=info)
    created = [r.inputs for r in program.resources.values() if "apiVersion" in r.inputs]
    rendered = manifests(config, "demo", project="raylift")
    assert rendered[-1]["kind"] == "RayService"
    found = sorted(json.dumps(each, sort_keys=True) for each in rendered)
    assert found == sorted(
        json.dumps(_as_rendered(each), sort_keys=True)
        for each in created
        if each["kind"] not in ("Namespace", "Secret")
    )


def _project(tmp_path, *lines):
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    text = "\n  ".join(["config:", *lines])
    (tmp_path / "stacks" / "Pulumi.prod.yaml").write_text(f"{text}\n")


def _run(tmp_path, *, seed="0"):
    return subprocess.run(
        [sys.executable, "-m", "raylift", "render", "-s", "prod"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONHASHSEED": seed},
    )


def test_the_output_is_the_same_in_every_run(tmp_path):
    lines = [f"raylift:{key}: {json.dumps(value)}" for key, value in COMPLETE.items()]
    _project(tmp_path, "raylift:target: kubernetes", *lines)
    first, second = (_run(tmp_path, seed=seed) for seed in "12")
    assert first.stdout == second.stdout
    assert first.stdout.startswith("---\napiVersion: v1\nkind: ServiceAccount\n")
    assert first.stderr == (
        "warning: the manifests do not contain Secret 'prod-packages' with the key"
        " token\n"
    )
    *_, service = yaml.safe_load_all(first.stdout)  # reads YAML 1.1
    head = service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]
    env = {each["name"]: each.get("value") for each in head["containers"][0]["env"]}
    assert env.items() >= COMPLETE["ray"]["env"].items()
    assert "pulumi" not in first.stdout
    assert "serveConfigV2" not in first.stdout


def test_everything_that_depends_on_the_cluster_must_be_in_the_file():
    config = KubernetesConfig.model_validate(
        {
            "packageVolume": {},
            "ray": {"secretEnv": {"TOKEN": "x"}},
            "networkPolicy": {"apiServerCidrs": [], "metricsFrom": ["monitoring"]},
        }
    )
    with pytest.raises(InvalidInput) as refused:
        manifests(config, "demo", project="raylift")
    missing = (
        "ray.operator.namespace",
        "networkPolicy.apiServerCidrs",
        "faultTolerance.storageClassName",
        "packageVolume.storageClassName",
        "observability.prometheus",
    )
    expected = [
        "ray.secretEnv: cannot be rendered; use envFrom with a Secret",
        "ray.operator.install: must be false, because no chart is rendered",
        *(f"{key}: required, because the cluster is not read" for key in missing),
    ]
    assert str(refused.value).splitlines() == [
        f"stacks/Pulumi.demo.yaml: raylift:{each}" for each in expected
    ]


def test_another_target_is_refused(tmp_path):
    _project(tmp_path, "aws:region: us-west-2", "raylift:target: aws")
    refused = _run(tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == (
        "error: stacks/Pulumi.prod.yaml: raylift:target: must be kubernetes, not aws\n"
    )
