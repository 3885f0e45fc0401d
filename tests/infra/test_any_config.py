"""Properties of the programs of all valid stack files: none raises, all hold."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from recording import GPU_ZONES, record
from shipped import ALL, AWS, recorded

from raylift.infra.aws.config import AwsConfig
from raylift.infra.aws.instance_types import instance_types
from raylift.infra.config.loader import findings_of
from raylift.infra.kubernetes.config import KubernetesConfig

TYPES = sorted(
    name
    for name, found in instance_types().items()
    if (found.gpus or name.startswith(("m7", "c7"))) and found.vcpus > 1
)
# The longest name that is allowed, and the shortest.
NAMES = st.sampled_from(["a", "b2", "a-very-long-name-20x", "gpu-group"])
LIMITS = {
    "aws:eks/cluster:Cluster": ("name", 100),
    "aws:eks/nodeGroup:NodeGroup": ("nodeGroupNamePrefix", 63 - 26),  # and a time
    "aws:cloudwatch/logGroup:LogGroup": ("name", 512),
}
# What Pulumi names itself: its own name, a hyphen and seven digits.
NAMED = {"aws:iam/role:Role": 64, "aws:s3/bucket:Bucket": 63,
         "aws:elasticache/replicationGroup:ReplicationGroup": 40}  # fmt: skip
DNS = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@st.composite
def node_groups(draw):
    kind = draw(st.sampled_from(TYPES))
    gpu = instance_types()[kind]
    group = {
        "name": draw(NAMES),
        "instanceTypes": [kind],
        "capacityType": draw(st.sampled_from(["ON_DEMAND", "SPOT"])),
        "minSize": draw(st.integers(0, 2)),
        "maxSize": draw(st.integers(2, 9)),
        "updateStrategy": draw(st.sampled_from(["DEFAULT", "MINIMAL"])),
        "instanceStore": draw(st.sampled_from(["raid0", "none"])),
        "labels": draw(st.sampled_from([{}, {"team": "ml"}])),
    }
    if gpu.efa and draw(st.booleans()):
        group |= {"efa": True, "availabilityZones": [GPU_ZONES[0]]}
    return group


RAY = st.fixed_dictionaries(
    {},
    optional={
        "env": st.just({"A": "b"}),
        "secretEnv": st.just({"TOKEN": "x"}),
        "autoscaling": st.fixed_dictionaries({"idleTimeout": st.integers(1, 900)}),
    },
)
AWS_CONFIGS = st.fixed_dictionaries(
    {
        "aws": st.just({"region": "us-west-2"}),
        "nodeGroups": st.lists(
            node_groups(), max_size=3, unique_by=lambda group: group["name"]
        ),
        "network": st.sampled_from(
            [
                {},
                {"natGateway": "perAz", "cidrBlock": "10.64.0.0/20"},
                {"natGateway": "none", "vpcEndpoints": "private"},
                {"availabilityZones": ["us-west-2a", "us-west-2b"]},
            ]
        ),
        "faultTolerance": st.sampled_from(
            [
                {},
                {"gcsStorage": "none"},
                {"gcsStorage": "elasticache", "replicas": 0, "multiAz": False},
                {"gcsStorage": "redis", "redisAddress": "redis://redis:6379"},
            ]
        ),
        "ingress": st.sampled_from([{}, {"type": "alb"}]),
        "autoscaler": st.sampled_from([{}, {"type": "none"}]),
        "accelerators": st.sampled_from([{}, {"devicePlugin": "skip"}]),
        "ray": RAY,
    }
)
KUBERNETES_CONFIGS = st.fixed_dictionaries(
    {
        "nodeGroups": st.lists(
            st.fixed_dictionaries(
                {
                    "name": NAMES,
                    "numGpus": st.integers(0, 8),
                    "numCpus": st.floats(0.1, 128),
                    "memory": st.integers(1 << 30, 1 << 40),
                }
            ),
            max_size=3,
            unique_by=lambda group: group["name"],
        ),
        "faultTolerance": st.sampled_from([{}, {"gcsStorage": "none"}]),
        "ingress": st.sampled_from(
            [{}, {"type": "ingressClass", "ingressClassName": "nginx"}]
        ),
        "networkPolicy": st.just({"serveFrom": ["ingress-nginx"]}),
        "ray": RAY,
    }
)


def _valid(model, values):
    config = model.model_validate(values)
    assert [f for f in findings_of(config) if not f.is_warning] == []
    return config


few = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


@few
@given(AWS_CONFIGS)
def test_any_valid_file_for_aws_has_a_program(values):
    program = record(_valid(AwsConfig, values), stack="a-very-long-name-20y")
    for_any(program)
    for_gpus(program)


@few
@given(KUBERNETES_CONFIGS)
def test_any_valid_file_for_kubernetes_has_a_program(values):
    for_any(record(_valid(KubernetesConfig, values), stack="a-very-long-name-20y"))


@pytest.mark.parametrize("name", ALL)
def test_names_are_within_limits(name):
    for_any(recorded(name))


@pytest.mark.parametrize("name", AWS)
def test_nodes_with_gpus_are_tainted_and_labelled(name):
    for_gpus(recorded(name))


def for_any(program):
    for resource in program.resources.values():
        if resource.kind in LIMITS:
            key, limit = LIMITS[resource.kind]
            assert len(resource.inputs[key]) <= limit
        if resource.kind in NAMED:
            assert len(resource.name) + 8 <= NAMED[resource.kind]
        metadata = resource.inputs.get("metadata", {})
        if resource.kind.startswith("kubernetes:") and "name" in metadata:
            assert DNS.fullmatch(metadata["name"])
    (service,) = program.of("ray.io/v1:RayService")
    assert len(service.inputs["metadata"]["name"]) <= 47  # KubeRay's own limit
    cluster = service.inputs["spec"]["rayClusterConfig"]
    for group in cluster["workerGroupSpecs"]:
        assert 0 <= group["minReplicas"] <= group["maxReplicas"]
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        assert container["resources"]["requests"] == container["resources"]["limits"]


def for_gpus(program):
    groups = program.of("eks/nodeGroup:NodeGroup")
    (service,) = program.of("ray.io/v1:RayService")
    for group in groups:
        inputs = group.inputs
        if not inputs["amiType"].endswith("NVIDIA"):
            assert "taints" not in inputs
            continue
        taint = {"key": "nvidia.com/gpu", "value": "true", "effect": "NO_SCHEDULE"}
        assert inputs["taints"] == [taint]
        assert inputs["labels"]["nvidia.com/gpu.present"] == "true"
        assert inputs["labels"]["k8s.amazonaws.com/accelerator"].startswith("nvidia-")
        assert inputs["labels"]["raylift.io/node-group"] == group.name
    by_name = {group.name: group.inputs for group in groups}
    for workers in service.inputs["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
        pod = workers["template"]["spec"]
        name = pod["nodeSelector"]["raylift.io/node-group"]
        has_taint = "taints" in by_name[name]
        tolerated = [t["key"] for t in pod.get("tolerations", [])]
        assert tolerated == (["nvidia.com/gpu"] if has_taint else [])


def test_every_node_keeps_its_credentials_to_itself_and_its_disk_encrypted():
    for name in AWS:
        for template in recorded(name).of("LaunchTemplate"):
            options = template.inputs["metadataOptions"]
            assert options["httpTokens"] == "required"
            assert options["httpPutResponseHopLimit"] == 1
            for disk in template.inputs["blockDeviceMappings"]:
                assert disk["ebs"]["encrypted"] == "true"


def test_a_resolved_configuration_reads_back_as_it_was():
    for model, values in (
        (AwsConfig, {"aws": {"region": "us-west-2"}, "ingress": {"type": "alb"}}),
        (KubernetesConfig, {}),
    ):
        config = model.model_validate(values)
        again = {}
        for key, value in config.resolved().items():
            prefix, name = key.split(":")
            into = again.setdefault("aws", {}) if prefix == "aws" else again
            into[name] = value
        try:
            assert _valid(model, again) == config
        except ValidationError as error:  # one line per error
            raise AssertionError(str(error)) from None
