"""Requirements on a cluster, checked before anything is created in it."""

from __future__ import annotations

import dataclasses

import pytest
from recording import FACTS, record

from raylift.errors import FailedPrecondition, InvalidInput, PermissionDenied
from raylift.infra.kubernetes.cluster_info import FoundOperator
from raylift.infra.kubernetes.config import KubernetesConfig
from raylift.infra.kubernetes.preflight import refuse_what_lacks

GPUS = {"nodeGroups": [{"name": "a", "numGpus": 1}]}
INGRESS = {
    "ingress": {"type": "ingressClass", "ingressClassName": "traefik"},
    "networkPolicy": {"serveFrom": ["traefik"]},
}
MONITOR = {"observability": {"prometheus": True}}
NO_INSTALL = {"ray": {"operator": {"install": False}}}
INSTALLED = FoundOperator("1.6.1", "kuberay")
OLD = FoundOperator("1.5.0", "kuberay")
SERVED = {"has_crds": True, "served": ("RayJob prod/train",)}
NO_CLASS = {"default_storage_class": None, "storage_classes": ()}

UNMET = [
    (
        {},
        {"version": (1, 27)},
        FailedPrecondition,
        "runs Kubernetes 1.27; 1.28 or newer is required",
    ),
    (
        {},
        {"denied": ("secrets in namespace ray",)},
        PermissionDenied,
        "do not allow creating secrets in namespace ray",
    ),
    (
        {},
        {"operator": OLD},
        FailedPrecondition,
        "operator 1.5.0 does not support authOptions; 1.5.1 or newer is required",
    ),
    (NO_INSTALL, {}, FailedPrecondition, "has no KubeRay operator"),
    (
        {"ray": {"operator": {"install": True}}},
        {"operator": INSTALLED},
        FailedPrecondition,
        "already installed in namespace 'kuberay'",
    ),
    (
        {},
        {"owns_operator_namespace": False},
        FailedPrecondition,
        "namespace 'kuberay-operator' already exists but has no KubeRay operator",
    ),
    (
        {},
        SERVED,
        FailedPrecondition,
        "one may manage these objects: RayJob prod/train",
    ),
    ({}, NO_CLASS, InvalidInput, "required: the cluster has no default StorageClass"),
    (
        {"faultTolerance": {"storageClassName": "fast"}},
        {},
        InvalidInput,
        "the cluster has no StorageClass 'fast'",
    ),
    (
        {"packageVolume": {"storageClassName": "fast"}},
        {},
        InvalidInput,
        "raylift:packageVolume.storageClassName: the cluster has no StorageClass",
    ),
    (
        {"packageVolume": {}, "faultTolerance": {"gcsStorage": "none"}},
        NO_CLASS,
        InvalidInput,
        "raylift:packageVolume.storageClassName: required",
    ),
    (INGRESS, {}, InvalidInput, "the cluster has no IngressClass 'traefik'"),
    (
        GPUS,
        {"gpus": 0},
        FailedPrecondition,
        "no node in the cluster provides nvidia.com/gpu",
    ),
    (
        {**MONITOR, "networkPolicy": {"metricsFrom": ["monitoring"]}},
        {"has_prometheus": False},
        FailedPrecondition,
        "has no Prometheus Operator",
    ),
]


def _config(values):
    return KubernetesConfig.model_validate({"target": "kubernetes", **values})


@pytest.mark.parametrize(("values", "changes", "error", "text"), UNMET)
def test_an_unmet_requirement_is_reported(values, changes, error, text):
    info = dataclasses.replace(FACTS, **changes)
    with pytest.raises(error, match=text):
        refuse_what_lacks(_config(values), info)


def test_what_a_stack_does_not_use_may_be_missing():
    poor = {"gpus": 0, "ingress_classes": (), "has_prometheus": False, **NO_CLASS}
    in_memory = {"faultTolerance": {"gcsStorage": "none"}}
    refuse_what_lacks(_config(in_memory), dataclasses.replace(FACTS, **poor))
    installed = {"operator": INSTALLED, "owns_operator_namespace": False}
    refuse_what_lacks(_config({}), dataclasses.replace(FACTS, **installed))


@pytest.mark.parametrize(
    ("values", "changes", "expected"),
    [
        ({}, {}, True),
        ({}, {"has_crds": True}, True),  # Helm keeps CRDs when it uninstalls
        ({}, {"has_crds": True, "operator": INSTALLED}, False),
        (NO_INSTALL, {"has_crds": True}, False),  # managed by the provider, not visible
    ],
)
def test_an_operator_is_installed_unless_one_runs(values, changes, expected):
    info = dataclasses.replace(FACTS, **changes)
    refuse_what_lacks(_config(values), info)
    resources = record(_config(values), info=info).resources.values()
    releases = [each.name for each in resources if each.kind.endswith(":Release")]
    assert releases == (["kuberay-operator"] if expected else [])


@pytest.mark.parametrize(
    ("values", "has_prometheus", "expected"),
    [
        ({"networkPolicy": {"metricsFrom": ["monitoring"]}}, True, True),
        ({"networkPolicy": {"metricsFrom": ["monitoring"]}}, False, False),
        ({"networkPolicy": {"enabled": False}}, True, True),
        ({}, True, False),  # the network policy would block Prometheus
        (
            {
                "networkPolicy": {"metricsFrom": ["monitoring"]},
                "observability": {"prometheus": False},
            },
            True,
            False,
        ),
    ],
)
def test_pods_are_monitored_if_prometheus_can_reach_them(
    values, has_prometheus, expected
):
    info = dataclasses.replace(FACTS, has_prometheus=has_prometheus)
    resources = record(_config(values), info=info).resources.values()
    kinds = {resource.kind for resource in resources}
    assert ("kubernetes:monitoring.coreos.com/v1:PodMonitor" in kinds) is expected
