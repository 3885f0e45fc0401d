"""What a cluster lacks for a stack is told before anything is made in it."""

from __future__ import annotations

import dataclasses

import pytest
from recording import FACTS, record

from infra.kubernetes.config import KubernetesConfig
from infra.kubernetes.facts import FoundOperator
from infra.kubernetes.preflight import refuse_what_lacks
from raylift.errors import CannotWork, Denied, InputFailed

GPUS = {"nodeGroups": [{"name": "a", "numGpus": 1}]}
INGRESS = {
    "ingress": {"type": "ingressClass", "ingressClassName": "traefik"},
    "networkPolicy": {"serveFrom": ["traefik"]},
}
MONITOR = {"observability": {"prometheus": True}}
NO_INSTALL = {"ray": {"operator": {"install": False}}}
THERE = FoundOperator("1.6.1", "kuberay")
OLD = FoundOperator("1.5.0", "kuberay")
SERVED = {"has_crds": True, "served": ("RayJob prod/train",)}
NO_CLASS = {"default_storage_class": None, "storage_classes": ()}

LACKS = [
    ({}, {"version": (1, 27)}, CannotWork, "runs Kubernetes 1.27; 1.28 or newer"),
    (
        {},
        {"denied": ("secrets in namespace ray",)},
        Denied,
        "may not create secrets in",
    ),
    ({}, {"operator": OLD}, CannotWork, "1.5.0 and lacks authOptions; 1.5.1 or newer"),
    (NO_INSTALL, {}, CannotWork, "has no KubeRay operator"),
    (
        {"ray": {"operator": {"install": True}}},
        {"operator": THERE},
        CannotWork,
        "is there already, in namespace kuberay",
    ),
    (
        {},
        {"owns_operator_namespace": False},
        CannotWork,
        "namespace 'kuberay-operator' is there already, without an operator",
    ),
    ({}, SERVED, CannotWork, "out of sight may run what is there: RayJob prod/train"),
    ({}, NO_CLASS, InputFailed, "required: the cluster has no default StorageClass"),
    (
        {"faultTolerance": {"storageClassName": "fast"}},
        {},
        InputFailed,
        "the cluster has no 'fast'",
    ),
    (INGRESS, {}, InputFailed, "the cluster has no 'traefik'"),
    (GPUS, {"gpus": 0}, CannotWork, "no node of the cluster offers nvidia.com/gpu"),
    (
        {**MONITOR, "networkPolicy": {"metricsFrom": ["monitoring"]}},
        {"has_prometheus": False},
        CannotWork,
        "has no Prometheus operator",
    ),
]


def _config(asked):
    return KubernetesConfig.model_validate({"target": "kubernetes", **asked})


@pytest.mark.parametrize(("asked", "found", "error", "text"), LACKS)
def test_it_is_told_what_the_cluster_lacks(asked, found, error, text):
    facts = dataclasses.replace(FACTS, **found)
    with pytest.raises(error, match=text):
        refuse_what_lacks(_config(asked), facts)


def test_what_is_not_asked_for_may_be_missing():
    poor = {"gpus": 0, "ingress_classes": (), "has_prometheus": False, **NO_CLASS}
    asked = {"faultTolerance": {"gcsStorage": "none"}}
    refuse_what_lacks(_config(asked), dataclasses.replace(FACTS, **poor))
    found = {"operator": THERE, "owns_operator_namespace": False}
    refuse_what_lacks(_config({}), dataclasses.replace(FACTS, **found))


@pytest.mark.parametrize(
    ("asked", "found", "made"),
    [
        ({}, {}, True),
        ({}, {"has_crds": True}, True),  # Helm has left them: nobody works on them
        ({}, {"has_crds": True, "operator": THERE}, False),
        (NO_INSTALL, {"has_crds": True}, False),  # one that a provider manages
    ],
)
def test_an_operator_is_installed_where_none_is_at_work(asked, found, made):
    facts = dataclasses.replace(FACTS, **found)
    refuse_what_lacks(_config(asked), facts)
    resources = record(_config(asked), facts=facts).resources.values()
    releases = [each.name for each in resources if each.kind.endswith(":Release")]
    assert releases == (["kuberay-operator"] if made else [])


@pytest.mark.parametrize(
    ("asked", "found", "made"),
    [
        ({"networkPolicy": {"metricsFrom": ["monitoring"]}}, True, True),
        ({"networkPolicy": {"metricsFrom": ["monitoring"]}}, False, False),
        ({"networkPolicy": {"enabled": False}}, True, True),
        ({}, True, False),  # Prometheus would get nothing
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
def test_prometheus_is_told_of_the_pods_where_it_can_ask_them(asked, found, made):
    facts = dataclasses.replace(FACTS, has_prometheus=found)
    made_of = record(_config(asked), facts=facts).resources.values()
    kinds = {resource.kind for resource in made_of}
    assert ("kubernetes:monitoring.coreos.com/v1:PodMonitor" in kinds) is made
