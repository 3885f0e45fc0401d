"""Invalid stack files of target kubernetes, each with its exact message."""

from __future__ import annotations

import pytest
from shipped import translate_error

HEAD = "config:\n  raylift:target: kubernetes\n"
RUN = "run `pulumi config set --secret --path 'raylift:ray.secretEnv.HF_TOKEN'`"
CHARACTERS = "must contain only letters, digits, '-', '_' and '.', and have at most 63 characters"

REFUSED = {
    "raylift:observability: {prometheus: true}":
    "raylift:observability.prometheus: requires networkPolicy.metricsFrom with the namespace of Prometheus, such as [monitoring]",
    "raylift:observability: {prometheus: grafana}":
    "raylift:observability.prometheus: must be true or false, not the string 'grafana'",
    "raylift:ray: {operator: {install: never}}":
    "raylift:ray.operator.install: must be true or false, not the string 'never'",
    "raylift:network: {}":
    "raylift:network: is only supported with target aws",
    "raylift:ray: {ingress: haproxy, version: 2.55.0}\n  raylift:faultTolerance: {gcsStorage: none}":
    "raylift:ray.ingress: haproxy requires Ray 2.60 or newer, not 2.55.0; use python",
    "raylift:ray: {ingress: nginx}":
    "raylift:ray.ingress: must be one of haproxy, python, not the string 'nginx'",
    "raylift:ray: {volumes: [{name: a, mountPath: /run, emptyDir: 1Gi}]}":
    "raylift:ray.volumes[0].mountPath: must not hide /run/raylift, which Ray's pods use",
    "raylift:kubernetes: {namespace: A}":
    "raylift:kubernetes.namespace: must start with a letter, contain only lowercase letters, digits and '-', and have at most 20 characters",
    "raylift:kubernetes: {namespace: kuberay-operator}":
    "raylift:kubernetes.namespace: must not be 'kuberay-operator', the namespace of the operator",
    "raylift:access: {deployers: [{kind: ServiceAccount, name: ci}]}":
    "raylift:access.deployers[0].namespace: required with kind: ServiceAccount",
    "raylift:access: {deployers: [{kind: ServiceAccount, name: CI Bot, namespace: ci}]}":
    "raylift:access.deployers[0].name: must consist of lowercase letters, digits, '-' and '.', and have at most 253 characters",
    "raylift:access: {viewers: [{kind: Group, name: ml, namespace: ml}]}":
    "raylift:access.viewers[0].namespace: requires kind: ServiceAccount",
    "raylift:access: {viewers: [{kind: Role, name: ml}]}":
    "raylift:access.viewers[0].kind: must be one of User, Group, ServiceAccount, not the string 'Role'",
    "raylift:access: {viewers: [{kind: User, name: ''}]}":
    "raylift:access.viewers[0].name: must not be empty",
    "raylift:access: {viewers: [{kind: Group, name: 'system:authenticated'}]}":
    "raylift:access.viewers[0].name: must not be system:authenticated, which includes unknown subjects",
    "raylift:tags: {team: a b}":
    f"raylift:tags: 'team: a b' {CHARACTERS} in the key and in the value, as Ray requires for labels",
    # node groups and workers
    "raylift:nodeGroups: [{name: a, minSize: 5}]":
    "raylift:nodeGroups[0].minSize: must be at most maxSize 4, not 5",
    "raylift:nodeGroups: [{name: a, maxSize: 0}]":
    "raylift:nodeGroups[0].maxSize: must be at least 1; to pause a group, set minSize: 0 and let the autoscaler empty it",
    "raylift:nodeGroups: [{name: a, tolerations: [{key: a b}]}]":
    f"raylift:nodeGroups[0].tolerations[0].key: 'a b' {CHARACTERS}, not counting an optional domain prefix such as example.com/",
    "raylift:nodeGroups: [{name: a, nodeSelector: {a b: c}}]":
    f"raylift:nodeGroups[0].nodeSelector: 'a b: c' {CHARACTERS} in the key and in the value, as Ray requires for labels",
    "raylift:nodeGroups: [{name: a, instanceTypes: [g6.xlarge]}]":
    "raylift:nodeGroups[0].instanceTypes: unknown key",
    "raylift:nodeGroups: [{name: a}, {name: a}]":
    "raylift:nodeGroups[1].name: must be unique; 'a' is already used",
    "raylift:ray: {workerGroups: [{name: a, nodeGroup: b}]}":
    "raylift:ray.workerGroups[0].nodeGroup: node group 'b' not found; available: workers",
    "raylift:ray: {workerGroups: [{name: workers, numGpus: 1}]}":
    "raylift:ray.workerGroups[0].numGpus: must be at most 0, the number of GPUs per node in 'workers', not 1",
    "raylift:packages: s3://code\n  raylift:packageVolume: {}":
    "raylift:packages: cannot be combined with packageVolume",
    "raylift:packageVolume: 10Gi":
    "raylift:packageVolume: must be a mapping, not the string '10Gi'",
    "raylift:packageVolume: {size: many}":
    "raylift:packageVolume.size: must be a size such as 512Mi or 16Gi, not the string 'many'",
    # Ray
    "raylift:ray: {version: 2.6}":
    "raylift:ray.version: must be a string, not the number 2.6; put it in quotes",
    "raylift:ray: {version: 2.51.0}":
    "raylift:ray.version: must be at least 2.52.0, the first version with token authentication, not 2.51.0",
    "raylift:ray: {operator: {version: 1.4.0}}":
    "raylift:ray.operator.version: must be at least 1.5.1, the first version with authOptions, not 1.4.0",
    "raylift:ray: {image: 'rayproject/ray:2.58.0-py311'}":
    "raylift:ray.image: tag must match raylift:ray.version 2.60.0, not 2.58.0: the autoscaler and authentication depend on the version",
    "raylift:ray: {env: {HF_TOKEN: hf_abcdefghijklmnopqrstuvwx}}":
    f"raylift:ray.env.HF_TOKEN: looks like a secret in plain text; {RUN}",
    "raylift:ray: {env: {HF_TOKEN: AKIAABCDEFGHIJKLMNOP}}":
    f"raylift:ray.env.HF_TOKEN: looks like a secret in plain text; {RUN}",
    "raylift:ray: {env: {HF_TOKEN: '${env:HF_TOKEN}'}}":
    f"raylift:ray.env.HF_TOKEN: ${{env:HF_TOKEN}} is not expanded in a stack file; {RUN}",
    "raylift:ray: {env: {RAY_AUTH_TOKEN: x}}":
    "raylift:ray.env: 'RAY_AUTH_TOKEN' is set by raylift; token authentication is always on",
    "raylift:ray: {secretEnv: {HF_TOKEN: x}}":
    f"raylift:ray.secretEnv.HF_TOKEN: must be encrypted; {RUN}",
    "raylift:ray: {secretEnv: {A B: {secure: x}}}":
    "raylift:ray.secretEnv: 'A B' is not a valid environment variable name",
    # what users add to pods
    "raylift:ray: {imageRegistry: 'https://registry.example.com/'}":
    "raylift:ray.imageRegistry: must be a registry such as registry.example.com/mirror, without a scheme or a tag, not the string 'https://registry.example.com/'",
    "raylift:ray: {priorityClassName: High Priority}":
    "raylift:ray.priorityClassName: must consist of lowercase letters, digits, '-' and '.', and have at most 253 characters",
    "raylift:ray: {envFrom: [{}]}":
    "raylift:ray.envFrom[0]: requires exactly one of configMap, secret",
    "raylift:ray: {envFrom: [{configMap: a, secret: b}]}":
    "raylift:ray.envFrom[0]: requires exactly one of configMap, secret",
    "raylift:ray: {volumes: [{name: a, mountPath: /a}]}":
    "raylift:ray.volumes[0]: requires exactly one of configMap, emptyDir, persistentVolumeClaim, secret",
    "raylift:ray: {volumes: [{name: a, mountPath: /a, secret: b, emptyDir: 1Gi}]}":
    "raylift:ray.volumes[0]: requires exactly one of configMap, emptyDir, persistentVolumeClaim, secret",
    "raylift:ray: {volumes: [{name: a, mountPath: /a, hostPath: /}]}":
    "raylift:ray.volumes[0].hostPath: unknown key; did you mean mountPath?",
    "raylift:ray: {volumes: [{name: a, mountPath: models, secret: b}]}":
    "raylift:ray.volumes[0].mountPath: must be an absolute path such as /models, without a trailing slash, not the string 'models'",
    "raylift:ray: {volumes: [{name: a, mountPath: /a/../dev, secret: b}]}":
    "raylift:ray.volumes[0].mountPath: must be an absolute path such as /models, without a trailing slash, not the string '/a/../dev'",
    "raylift:ray: {volumes: [{name: a, mountPath: /home, secret: b}]}":
    "raylift:ray.volumes[0].mountPath: must not hide /home/ray/anaconda3, which Ray's pods use",
    "raylift:ray: {volumes: [{name: a, mountPath: /usr, secret: b}]}":
    "raylift:ray.volumes[0].mountPath: must not hide /usr, which Ray's pods use",
    "raylift:ray: {volumes: [{name: a, mountPath: /a, secret: b}, {name: b, mountPath: /a/b, emptyDir: 1Gi}]}":
    "raylift:ray.volumes[1].mountPath: '/a/b' is in volume 'a', which is read-only",
    "raylift:ray: {volumes: [{name: a, mountPath: /a, emptyDir: 500Ki}]}":
    "raylift:ray.volumes[0].emptyDir: must be at least 1Mi",
    "raylift:ray: {volumes: [{name: a, mountPath: /a, secret: b}, {name: a, mountPath: /b, secret: b}]}":
    "raylift:ray.volumes[1].name: must be unique; 'a' is already used",
    "raylift:ray: {volumes: [{name: a, mountPath: /a, secret: b}, {name: b, mountPath: /a, secret: b}]}":
    "raylift:ray.volumes[1].mountPath: must be unique; '/a' is already used",
    "raylift:ray: {workerGroups: [{name: workers, extraResources: {nvidia.com/gpu: 1}}]}":
    "raylift:ray.workerGroups[0].extraResources: 'nvidia.com/gpu' is set by numGpus",
    "raylift:ray: {workerGroups: [{name: workers, extraResources: {pods: 1, amd.com/gpu: 1}}]}":
    "raylift:ray.workerGroups[0].extraResources: 'pods' must be ephemeral-storage, hugepages-2Mi, or a name with a domain, such as rdma/hca; 'amd.com/gpu' would count as a GPU; only nvidia.com/gpu is supported",
    "raylift:ray: {workerGroups: [{name: workers, extraResources: {hugepages-2Mi: 1}}]}":
    "raylift:ray.workerGroups[0].extraResources: 'hugepages-2Mi' must be a multiple of the page size",
    "raylift:ray: {workerGroups: [{name: workers, topologySpread: [{topologyKey: zone}, {topologyKey: zone}]}]}":
    "raylift:ray.workerGroups[0].topologySpread[1].topologyKey: 'zone' already has a rule with ScheduleAnyway",
    "raylift:ray: {workerGroups: [{name: workers, topologySpread: [{topologyKey: zone, maxSkew: 0}]}]}":
    "raylift:ray.workerGroups[0].topologySpread[0].maxSkew: must be at least 1, not 0",
    # where state is kept
    "raylift:faultTolerance: {gcsStorage: elasticache}":
    "raylift:faultTolerance.gcsStorage: must be one of rocksdb, redis, none, not the string 'elasticache'",
    "raylift:faultTolerance: {gcsStorage: redis}":
    "raylift:faultTolerance.redisAddress: required with gcsStorage: redis; for example, redis://redis:6379",
    "raylift:faultTolerance: {redisAddress: 'redis://x:1'}":
    "raylift:faultTolerance.redisAddress: cannot be combined with gcsStorage: rocksdb",
    "raylift:faultTolerance: {gcsStorage: none, size: 1Gi}":
    "raylift:faultTolerance.size: cannot be combined with gcsStorage: none",
    "raylift:faultTolerance: {gcsStorage: redis, redisAddress: 'redis://:x@redis:1'}":
    "raylift:faultTolerance.redisAddress: must not contain a password; put it into a Secret and set redisPassword",
    # the way in
    "raylift:ingress: {type: alb}":
    "raylift:ingress.type: must be one of none, ingressClass, not the string 'alb'",
    "raylift:ingress: {host: a.example}":
    "raylift:ingress.host: requires type: ingressClass",
    "raylift:networkPolicy: {apiServerCidrs: [x]}":
    "raylift:networkPolicy.apiServerCidrs[0]: must be an IPv4 CIDR block without host bits, such as 10.0.0.0/16, not the string 'x'",
    "raylift:networkPolicy: {apiServerCidrs: [10.0.0.0/24, 0.0.0.0/0]}":
    "raylift:networkPolicy.apiServerCidrs: must not include the whole internet, because it could then reach Ray's dashboard; list the addresses of the API server",
}  # fmt: skip
WARNED = {
    "raylift:ray: {version: 2.55.0}":
    "raylift:faultTolerance.gcsStorage: rocksdb was tested only with Ray 2.60; if the head does not start with Ray 2.55.0, use redis or none",
    "raylift:ray: {image: 'rayproject/ray:latest'}":
    "raylift:ray.image: has a mutable tag, so a restart may change the code; use a version tag or digest",
    "raylift:ray: {workerGroups: [{name: workers, minReplicas: 2, maxReplicas: 2}]}":
    "raylift:ray.workerGroups[0].minReplicas: needs 2 nodes from the start, but 'workers' starts with 1, so the cluster must scale up first",
}  # fmt: skip


@pytest.mark.parametrize("line", REFUSED)
def test_an_error_has_its_line_and_key(tmp_path, line):
    assert translate_error(tmp_path, HEAD + f"  {line}\n") == [f":3: {REFUSED[line]}"]


@pytest.mark.parametrize("line", WARNED)
def test_a_warning_has_its_key(tmp_path, line):
    assert translate_error(tmp_path, HEAD + f"  {line}\n") == [
        f"warning: {WARNED[line]}"
    ]


def test_an_ingress_requires_a_class_and_the_namespace_of_its_controller(tmp_path):
    text = HEAD + "  raylift:ingress: {type: ingressClass}\n"
    assert translate_error(tmp_path, text) == [
        ":1: raylift:networkPolicy.serveFrom: must list the namespace of the ingress controller, such as [ingress-nginx]; otherwise the controller cannot reach Serve",
        ":3: raylift:ingress.ingressClassName: required with type: ingressClass; for example, nginx",
    ]
