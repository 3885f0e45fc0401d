"""Stack files of target kubernetes that are refused, each with its exact message."""

from __future__ import annotations

import pytest
from shipped import told

HEAD = "config:\n  raylift:target: kubernetes\n"
GROUP = "raylift:nodeGroups: [{{name: a, {}}}]"
HOW = "use pulumi config set --secret --path 'raylift:ray.secretEnv.HF_TOKEN'"
LABEL = "letters, digits, '-', '_', '.', at most 63 characters"
KEY = (
    "must be letters, digits, '-', '_' and '.', at most 63 characters,"
    " after a domain and a slash if there is one"
)

REFUSED = {
    "raylift:observability: {prometheus: true}": "raylift:observability.prometheus: needs"
    " networkPolicy.metricsFrom: Prometheus' namespace, such as [monitoring]",
    "raylift:observability: {prometheus: grafana}": "raylift:observability.prometheus:"
    ' must be true or false, not the text "grafana"',
    "raylift:ray: {operator: {install: never}}": "raylift:ray.operator.install: must be"
    ' true or false, not the text "never"',

    "raylift:network: {}": "raylift:network: only target aws has this key",
    "raylift:kubernetes: {namespace: A}": "raylift:kubernetes.namespace: must be"
    " lowercase letters, digits and '-', start with a letter, at most 20 characters",
    "raylift:kubernetes: {namespace: kuberay-operator}": "raylift:kubernetes.namespace:"
    " 'kuberay-operator' is the operator's; give Ray one of its own",
    "raylift:tags: {team: a b}": f"raylift:tags: team: a b: Ray's rule for labels: {LABEL}",
    # node groups and workers
    GROUP.format("minSize: 5"): "raylift:nodeGroups[0].minSize: 5 is above maxSize 4",
    GROUP.format("maxSize: 0"): "raylift:nodeGroups[0].maxSize: must be 1 or more;"
    " to pause a group set minSize: 0 and let the autoscaler empty it",
    GROUP.format("tolerations: [{key: a b}]"): "raylift:nodeGroups[0].tolerations[0].key:"
    f" a b: {KEY}",
    GROUP.format("nodeSelector: {a b: c}"): "raylift:nodeGroups[0].nodeSelector: a b: c:"
    f" Ray's rule for labels: {LABEL}",
    GROUP.format("instanceTypes: [g6.xlarge]"): "raylift:nodeGroups[0].instanceTypes:"
    " unknown key",
    "raylift:nodeGroups: [{name: a}, {name: a}]": "raylift:nodeGroups[1].name:"
    " two groups named 'a'",
    "raylift:ray: {workerGroups: [{name: a, nodeGroup: b}]}":
    "raylift:ray.workerGroups[0].nodeGroup: no node group 'b'; there are workers",
    "raylift:ray: {workerGroups: [{name: workers, numGpus: 1}]}":
    "raylift:ray.workerGroups[0].numGpus: 1, but a node of 'workers' has none",
    # Ray
    "raylift:ray: {version: 2.6}": "raylift:ray.version: must be text, not the number"
    " 2.6; put it in quotes",
    "raylift:ray: {version: 2.51.0}": "raylift:ray.version: 2.51.0 has no token"
    " authentication; it came with Ray 2.52",
    "raylift:ray: {operator: {version: 1.4.0}}": "raylift:ray.operator.version: 1.4.0"
    " lacks authOptions; use 1.5.1 or newer",
    "raylift:ray: {image: 'rayproject/ray:2.58.0-py311'}": "raylift:ray.image: has tag"
    " 2.58.0, but raylift:ray.version is 2.60.0: the autoscaler and authentication"
    " decide by version",
    "raylift:ray: {env: {HF_TOKEN: hf_abcdefghijklmnopqrstuvwx}}":
    f"raylift:ray.env.HF_TOKEN: looks like a secret in clear; {HOW}",
    "raylift:ray: {env: {HF_TOKEN: AKIAABCDEFGHIJKLMNOP}}":
    f"raylift:ray.env.HF_TOKEN: looks like a secret in clear; {HOW}",
    "raylift:ray: {env: {HF_TOKEN: '${env:HF_TOKEN}'}}":
    f"raylift:ray.env.HF_TOKEN: ${{env:HF_TOKEN}} is not expanded here; {HOW}",
    "raylift:ray: {env: {RAY_AUTH_TOKEN: x}}": "raylift:ray.env: RAY_AUTH_TOKEN:"
    " raylift sets it; the token is always on",
    "raylift:ray: {secretEnv: {HF_TOKEN: x}}": f"raylift:ray.secretEnv.HF_TOKEN: in clear; {HOW}",
    "raylift:ray: {secretEnv: {A B: {secure: x}}}": "raylift:ray.secretEnv: A B:"
    " no name of an environment variable",
    # where state is kept
    "raylift:faultTolerance: {gcsStorage: elasticache}":
    "raylift:faultTolerance.gcsStorage: must be one of rocksdb, redis, none,"
    ' not the text "elasticache"',
    "raylift:faultTolerance: {gcsStorage: redis}": "raylift:faultTolerance.redisAddress:"
    " required with gcsStorage: redis, such as redis://redis:6379",
    "raylift:faultTolerance: {redisAddress: 'redis://x:1'}":
    "raylift:faultTolerance.redisAddress: not used with gcsStorage: rocksdb",
    "raylift:faultTolerance: {gcsStorage: none, size: 1Gi}":
    "raylift:faultTolerance.size: not used with gcsStorage: none",
    "raylift:faultTolerance: {gcsStorage: redis, redisAddress: 'redis://:x@redis:1'}":
    "raylift:faultTolerance.redisAddress: has a password in clear; put it in a Secret"
    " and name that as redisPassword",
    # the way in
    "raylift:ingress: {type: alb}": "raylift:ingress.type: must be one of none,"
    ' ingressClass, not the text "alb"',
    "raylift:ingress: {host: a.example}": "raylift:ingress.host: not used without type:"
    " ingressClass",
    "raylift:networkPolicy: {apiServerCidrs: [x]}":
    "raylift:networkPolicy.apiServerCidrs[0]: must be a network such as 10.0.0.0/16,"
    ' not the text "x"',
    "raylift:networkPolicy: {apiServerCidrs: [10.0.0.0/24, 0.0.0.0/0]}":
    "raylift:networkPolicy.apiServerCidrs: would open Ray's dashboard to everybody; name"
    " the API server's addresses",
}  # fmt: skip
WARNED = {
    "raylift:ray: {version: 2.55.0}": "raylift:faultTolerance.gcsStorage: rocksdb is new in"
    " Ray and was tried with 2.60; if the head of 2.55.0 does not start, use redis or none",
    "raylift:ray: {image: 'rayproject/ray:latest'}": "raylift:ray.image: a mutable tag:"
    " a restart may change the code; pin a version or a digest",
    "raylift:ray: {workerGroups: [{name: workers, minReplicas: 2, maxReplicas: 2}]}":
    "raylift:ray.workerGroups[0].minReplicas: needs 2 nodes at once, but 'workers' starts"
    " with 1: the cluster begins by scaling up",
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
def test_it_is_refused_with_its_line_and_what_is_wrong(tmp_path, line):
    assert told(tmp_path, HEAD + f"  {line}\n") == [f":3: {REFUSED[line]}"]


@pytest.mark.parametrize("line", WARNED)
def test_what_hardly_works_is_said_and_not_refused(tmp_path, line):
    assert told(tmp_path, HEAD + f"  {line}\n") == [f"warning: {WARNED[line]}"]


def test_an_ingress_names_its_class_and_where_its_controller_is(tmp_path):
    assert told(tmp_path, HEAD + "  raylift:ingress: {type: ingressClass}\n") == [
        ":1: raylift:networkPolicy.serveFrom: must name the ingress controller's namespace, such as [ingress-nginx], or nothing gets in",
        ":3: raylift:ingress.ingressClassName: required with type: ingressClass, such as nginx",
    ]
