"""Options of the targets `kubernetes` and `aws`, and stack files that combine them."""

from __future__ import annotations

import itertools
import random

from recording import GPU_ZONES

from raylift.infra.aws.config import AwsConfig
from raylift.infra.kubernetes.config import KubernetesConfig

CANARY = "canary-3f9ac1d7"
ADMIN = "arn:aws:iam::123456789012:role/platform"
WEIGHTS = "arn:aws:iam::123456789012:policy/weights"
CERTIFICATE = "arn:aws:acm:us-west-2:123456789012:certificate/x"
_DIGEST = "registry.example/ray@sha256:" + "0" * 64
_REDIS = {"gcsStorage": "redis", "redisAddress": "redis://redis:6379"}
_ONE_ZONE = {"availabilityZones": [GPU_ZONES[0]]}
_GPU = {"name": "gpu", "maxSize": 4}

RAY = {
    "env": [{}, {"ray": {"env": {"A": "b"}}}],
    "secrets": [{}, {"ray": {"secretEnv": {"TOKEN": CANARY, "OTHER": f"x{CANARY}"}}}],
    "proxy": [{}, {"ray": {"ingress": "python"}}],
    "image": [{}, {"ray": {"image": _DIGEST, "imagePullSecrets": ["pull"]}}],
    "version": [
        {},
        {"ray": {"version": "2.55.0"}},
        {"ray": {"operator": {"version": "1.5.1", "namespace": "kuberay"}}},
        {"ray": {"operator": {"featureGates": [{"name": "RayCronJob"}]}}},
    ],
    "scaling": [
        {},
        {"ray": {"autoscaling": {"idleTimeout": 60, "upscalingMode": "Aggressive"}}},
    ],
    "head": [
        {},
        {"ray": {"head": {"numCpus": 2.5, "memory": "6Gi"}}},
        {"ray": {"head": {"tolerations": [{"key": "head", "effect": "NoExecute"}]}}},
    ],
    "policy": [
        {},
        {"networkPolicy": {"enabled": False}},
        {"networkPolicy": {"apiServerCidrs": ["10.9.0.0/28", "10.9.1.0/28"]}},
    ],
    "metrics": [{}, {"networkPolicy": {"metricsFrom": ["monitoring"]}}],
    "namespace": [{}, {"kubernetes": {"namespace": "models"}}],
    "pods": [
        {},
        {
            "ray": {
                "imageRegistry": "registry.example/mirror",
                "priorityClassName": "serving",
                "envFrom": [{"configMap": "settings"}, {"secret": "keys"}],
                "volumes": [
                    {
                        "name": "models",
                        "mountPath": "/models",
                        "readOnly": True,
                        "persistentVolumeClaim": "models",
                    },
                    {"name": "cache", "mountPath": "/cache", "emptyDir": "90Gi"},
                    {"name": "etc", "mountPath": "/etc/models", "configMap": "etc"},
                    {"name": "keys", "mountPath": "/etc/keys", "secret": "keys"},
                ],
            }
        },
    ],
}
KUBERNETES = {
    **RAY,
    "serve": [
        {"networkPolicy": {"serveFrom": ["ingress-nginx"]}},
        {"networkPolicy": {"serveFrom": ["ingress-nginx", "clients"]}},
    ],
    "ingress": [
        {},
        {"ingress": {"type": "ingressClass", "ingressClassName": "nginx"}},
        {
            "ingress": {
                "type": "ingressClass",
                "ingressClassName": "traefik",
                "host": "models.example.com",
                "tlsSecretName": "tls",
                "annotations": {"example.com/timeout": "60"},
            }
        },
    ],
    "state": [
        {},
        {"faultTolerance": {"storageClassName": "fast", "size": "8Gi"}},
        {"faultTolerance": {"gcsStorage": "none"}},
        {"faultTolerance": _REDIS},
        {"faultTolerance": _REDIS | {"redisPassword": {"name": "r", "key": "p"}}},
    ],
    "nodes": [
        {},
        {"nodeGroups": [{"name": "cpu", "labels": {"a": "b"}, "resources": {"x": 1}}]},
        {"nodeGroups": [{**_GPU, "numGpus": 8, "numCpus": 64, "memory": "1Ti"}]},
        {
            "nodeGroups": [
                {
                    **_GPU,
                    "numGpus": 1,
                    "tolerations": [{"key": "gpu"}],
                    "runtimeClassName": "nvidia-container-runtime",
                }
            ]
        },
        {
            "nodeGroups": [{**_GPU, "numGpus": 2}, {"name": "cpu", "minSize": 1}],
            "ray": {
                "workerGroups": [
                    {"name": "half", "nodeGroup": "gpu", "numGpus": 1},
                    {
                        "name": "cpu",
                        "numOfHosts": 2,
                        "idleTimeout": "2m",
                        "extraResources": {"rdma/hca": 1},
                        "topologySpread": [{"topologyKey": "zone", "maxSkew": 2}],
                    },
                ]
            },
        },
    ],
    "tags": [{}, {"tags": {"team": "ml"}}],
    "access": [
        {},
        {"access": {"viewers": [{"kind": "Group", "name": "data-science"}]}},
        {
            "access": {
                "deployers": [
                    {"kind": "ServiceAccount", "name": "ci", "namespace": "ci"},
                    {"kind": "User", "name": "ann@example.com"},
                ]
            }
        },
    ],
    "prometheus": [{}, {"observability": {"prometheus": False}}],
    "packages": [
        {},
        {"packages": "s3://code/apps"},
        {"packageVolume": {}},
        {"packageVolume": {"size": "1Gi", "storageClassName": "fast"}},
    ],
}
AWS = {
    **RAY,
    "head": RAY["head"][:2],
    "region": [{"aws": {"region": "us-west-2"}}],
    "network": [
        {},
        {"network": {"natGateway": "perAz", "cidrBlock": "10.64.0.0/20"}},
        {"network": {"natGateway": "none", "vpcEndpoints": "private"}},
        {"network": {"vpcEndpoints": "none", "flowLogs": False}},
        {
            "network": {
                "vpcId": "vpc-1",
                "privateSubnetIds": ["subnet-0", "subnet-1"],
                "publicSubnetIds": ["subnet-2", "subnet-3"],
            }
        },
    ],
    "endpoint": [
        {},
        {"kubernetes": {"publicAccessCidrs": ["203.0.113.0/24"]}},
        {"kubernetes": {"publicAccessCidrs": []}},
        {
            "kubernetes": {
                "publicAccessCidrs": ["203.0.113.0/24"],
                "endpointPrivateAccess": False,
            }
        },
    ],
    "keys": [
        {},
        {"kmsKeyArn": "arn:aws:kms:us-west-2:123456789012:key/k"},
    ],
    "admins": [{}, {"kubernetes": {"adminPrincipalArns": [ADMIN]}}],
    "ingress": [
        {},
        {"ingress": {"type": "alb"}},
        {"ingress": {"type": "alb", "certificateArn": CERTIFICATE, "host": "a.b"}},
        {"ingress": {"type": "alb", "allowedCidrs": ["10.0.0.0/8"]}},
        {
            "ingress": {
                "type": "alb",
                "scheme": "internet-facing",
                "certificateArn": CERTIFICATE,
                "allowedCidrs": ["203.0.113.0/24", "198.51.100.0/24"],
            }
        },
        {
            "ingress": {
                "type": "alb",
                "host": "a.example",
                "hostedZoneId": "Z0123456789ABC",
            }
        },
    ],
    "state": [
        {},
        {"faultTolerance": {"gcsStorage": "none"}},
        {"faultTolerance": {"gcsStorage": "elasticache"}},
        {
            "faultTolerance": {
                "gcsStorage": "elasticache",
                "replicas": 0,
                "multiAz": False,
            }
        },
        {"faultTolerance": _REDIS},
    ],
    "nodes": [
        {},
        {"nodeGroups": [{**_GPU, "instanceTypes": ["g6.xlarge"]}]},
        {
            "nodeGroups": [
                {
                    **_GPU,
                    "instanceTypes": ["g6e.xlarge", "g6e.xlarge"],
                    "capacityType": "SPOT",
                    "amiType": "BOTTLEROCKET_x86_64_NVIDIA",
                }
            ]
        },
        {
            "nodeGroups": [
                {**_GPU, "instanceTypes": ["p5.48xlarge"], "efa": True, **_ONE_ZONE},
                {"name": "cpu", "instanceTypes": ["m7i.4xlarge"], "maxSize": 3},
            ]
        },
        {
            "nodeGroups": [
                {
                    **_GPU,
                    **_ONE_ZONE,
                    "instanceTypes": ["p5.48xlarge"],
                    "capacityType": "CAPACITY_BLOCK",
                    "capacityReservationId": "cr-1",
                }
            ]
        },
        {
            "nodeGroups": [
                {
                    **_GPU,
                    "instanceTypes": ["g6e.12xlarge"],
                    "warmPool": {"maxPreparedCapacity": 1},
                    "taints": [{"key": "ml", "effect": "NoExecute"}],
                    "disk": {"sizeGib": 300, "snapshotId": "snap-1"},
                    "instanceStore": "none",
                    "placementGroup": "cluster",
                }
            ]
        },
    ],
    "plugins": [
        {},
        {"autoscaler": {"type": "none"}, "accelerators": {"devicePlugin": "skip"}},
    ],
    "system": [{}, {"systemNodeGroup": {"instanceTypes": ["m7g.xlarge"]}}],
    "bucket": [{}, {"storage": {"forceDestroy": False, "expireDays": 30}}],
    "account": [
        {},
        {
            "permissionsBoundary": "arn:aws:iam::123456789012:policy/boundary",
            "serviceAccountPolicyArns": [WEIGHTS],
            "budget": {"monthlyUsd": 100, "email": "ml@example.com"},
            "protection": {"deletionProtection": True},
            "tags": {"team": "ml"},
        },
    ],
}
TARGETS = {"kubernetes": (KubernetesConfig, KUBERNETES), "aws": (AwsConfig, AWS)}


def at_random(target: str, number: int) -> list[dict]:
    """Return different choices of one option each, the same ones every time."""
    _, factors = TARGETS[target]
    chosen, generator = {}, random.Random(1)
    while len(chosen) < number:
        choice = {name: generator.randrange(len(of)) for name, of in factors.items()}
        chosen[tuple(choice.values())] = choice
    return list(chosen.values())


def pairs_of(choice: dict) -> set:
    """Return each pair of options that a choice combines."""
    return set(itertools.combinations(choice.items(), 2))


def all_pairs(target: str) -> set:
    """Return each pair of options that some choice could combine."""
    _, factors = TARGETS[target]
    return {
        ((a, i), (b, j))
        for a, b in itertools.combinations(factors, 2)
        for i in range(len(factors[a]))
        for j in range(len(factors[b]))
    }


def covering(target: str, number: int) -> list[dict]:
    """Return choices that together cover as many pairs as a greedy search finds."""
    candidates = at_random(target, 600)
    left, chosen = all_pairs(target), []
    for _ in range(number):
        best = max(candidates, key=lambda choice: len(pairs_of(choice) & left))
        left -= pairs_of(best)
        chosen.append(best)
    return chosen


def config_of(target: str, choice: dict):
    """Return the configuration of a choice, which is valid."""
    model, factors = TARGETS[target]
    values: dict = {}
    for name, index in choice.items():
        _merge(values, factors[name][index])
    return model.model_validate(values)


def _merge(into: dict, more: dict) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = {**value} if isinstance(value, dict) else value
