"""Admission policies like those of platform teams, and objects that violate them.

The rules are those of the Pod Security Standards and of common policy libraries, in
CEL. They apply in every namespace with the labels `SELECTED`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

SELECTED = {"team": "search"}
_CONTAINERS = (
    "(object.spec.containers + (has(object.spec.initContainers)"
    " ? object.spec.initContainers : []))"
)
_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "good",
        "labels": {**SELECTED, "app.kubernetes.io/managed-by": "raylift"},
        "ownerReferences": [
            {
                "apiVersion": "ray.io/v1",
                "kind": "RayCluster",
                "name": "c",
                "uid": "u",
                "controller": True,
            }
        ],
    },
    "spec": {
        "serviceAccountName": "ray",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "fsGroup": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "main",
                "image": "rayproject/ray:2.60.0",
                "imagePullPolicy": "IfNotPresent",
                "resources": {
                    "requests": {"cpu": "1", "memory": "1Gi"},
                    "limits": {"cpu": "1", "memory": "1Gi"},
                },
                "readinessProbe": {"httpGet": {"path": "/", "port": 8000}},
                "livenessProbe": {"httpGet": {"path": "/", "port": 8000}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    },
}
_SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "good"},
    "spec": {"ports": [{"port": 80}]},
}
_CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "good"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    },
}
_ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "Role",
    "metadata": {"name": "good"},
    "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
}
_BUDGET = {
    "apiVersion": "policy/v1",
    "kind": "PodDisruptionBudget",
    "metadata": {"name": "good"},
    "spec": {"minAvailable": 1, "selector": {"matchLabels": {"a": "b"}}},
}
_GOOD = {
    "pods": _POD,
    "services": _SERVICE,
    "persistentvolumeclaims": _CLAIM,
    "roles": _ROLE,
    "poddisruptionbudgets": _BUDGET,
}
_GROUPS = {"roles": "rbac.authorization.k8s.io", "poddisruptionbudgets": "policy"}


@dataclass(frozen=True)
class Policy:
    """A rule in CEL about one kind of object, and a change that violates it.

    The change is a path in a good object, with the value to set there.
    """

    name: str
    rule: str
    path: tuple
    value: object
    resource: str = "pods"

    def objects(self) -> list[dict]:
        """Return the policy and its binding."""
        name = f"rig-{self.name}"
        rules = {
            "apiGroups": [_GROUPS.get(self.resource, "")],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": [self.resource],
        }
        policy = {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rules]},
            "validations": [{"expression": self.rule, "message": self.name}],
        }
        selected = {"namespaceSelector": {"matchLabels": SELECTED}}
        binding = {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": selected,
        }
        return [
            _object("ValidatingAdmissionPolicy", name, policy),
            _object("ValidatingAdmissionPolicyBinding", name, binding),
        ]

    def violation(self) -> dict:
        """Return an object that violates only this policy."""
        bad = copy.deepcopy(_GOOD[self.resource])
        place = bad
        for key in self.path[:-1]:
            place = place[key]
        place[self.path[-1]] = self.value
        return bad


def good_objects() -> list[dict]:
    """Return an object of each kind that violates no policy."""
    return copy.deepcopy(list(_GOOD.values()))


def _object(kind: str, name: str, spec: dict) -> dict:
    version = "admissionregistration.k8s.io/v1"
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def _all(condition: str) -> str:
    return f"{_CONTAINERS}.all(c, {condition})"


_MAIN = ("spec", "containers", 0)
_SECURITY = (*_MAIN, "securityContext")
POLICIES = (
    Policy(
        "no-privileged-containers",
        _all("!has(c.securityContext.privileged) || !c.securityContext.privileged"),
        _SECURITY,
        {"privileged": True, "capabilities": {"drop": ["ALL"]}},
    ),
    Policy(
        "no-privilege-escalation",
        # The API server rejects `false` for a privileged container.
        _all(
            "(has(c.securityContext.privileged) && c.securityContext.privileged)"
            " || (has(c.securityContext.allowPrivilegeEscalation)"
            " && !c.securityContext.allowPrivilegeEscalation)"
        ),
        (*_SECURITY, "allowPrivilegeEscalation"),
        True,
    ),
    Policy(
        "drop-all-capabilities",
        _all(
            "has(c.securityContext.capabilities.drop)"
            " && 'ALL' in c.securityContext.capabilities.drop"
        ),
        (*_SECURITY, "capabilities"),
        {"drop": ["NET_RAW"]},
    ),
    Policy(
        "no-added-capabilities",
        _all("!has(c.securityContext.capabilities.add)"),
        (*_SECURITY, "capabilities"),
        {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
    ),
    Policy(
        "run-as-non-root",
        "has(object.spec.securityContext.runAsNonRoot)"
        " && object.spec.securityContext.runAsNonRoot",
        ("spec", "securityContext", "runAsNonRoot"),
        False,
    ),
    Policy(
        "no-root-user",
        "object.spec.securityContext.runAsUser > 0 && "
        + _all("!has(c.securityContext.runAsUser) || c.securityContext.runAsUser > 0"),
        (*_SECURITY, "runAsUser"),
        0,
    ),
    Policy(
        "no-root-group",
        "object.spec.securityContext.fsGroup > 0",
        ("spec", "securityContext", "fsGroup"),
        0,
    ),
    Policy(
        "seccomp-profile",
        "object.spec.securityContext.seccompProfile.type in"
        " ['RuntimeDefault', 'Localhost']",
        ("spec", "securityContext", "seccompProfile"),
        {"type": "Unconfined"},
    ),
    Policy(
        "no-host-namespaces",
        "!(has(object.spec.hostNetwork) && object.spec.hostNetwork)"
        " && !(has(object.spec.hostPID) && object.spec.hostPID)"
        " && !(has(object.spec.hostIPC) && object.spec.hostIPC)",
        ("spec", "hostPID"),
        True,
    ),
    Policy(
        "no-host-ports",
        _all("!has(c.ports) || c.ports.all(p, !has(p.hostPort) || p.hostPort == 0)"),
        (*_MAIN, "ports"),
        [{"containerPort": 80, "hostPort": 80}],
    ),
    Policy(
        "allowed-volume-types",
        "!has(object.spec.volumes) || object.spec.volumes.all(v, has(v.configMap)"
        " || has(v.emptyDir) || has(v.persistentVolumeClaim) || has(v.projected)"
        " || has(v.secret))",
        ("spec", "volumes"),
        [{"name": "v", "hostPath": {"path": "/"}}],
    ),
    Policy(
        "no-sysctls",
        "!has(object.spec.securityContext.sysctls)",
        ("spec", "securityContext", "sysctls"),
        [{"name": "net.core.somaxconn", "value": "1"}],
    ),
    Policy(
        "no-automounted-token",
        "has(object.spec.automountServiceAccountToken)"
        " && !object.spec.automountServiceAccountToken",
        ("spec", "automountServiceAccountToken"),
        True,
    ),
    Policy(
        "no-default-service-account",
        "object.spec.serviceAccountName != 'default'",
        ("spec", "serviceAccountName"),
        "default",
    ),
    Policy(
        "no-service-links",
        "has(object.spec.enableServiceLinks) && !object.spec.enableServiceLinks",
        ("spec", "enableServiceLinks"),
        True,
    ),
    Policy(
        "requests-and-limits",
        _all(
            "has(c.resources.requests) && has(c.resources.limits) && ['cpu', 'memory']"
            ".all(r, r in c.resources.requests && r in c.resources.limits)"
        ),
        (*_MAIN, "resources"),
        {"limits": {"memory": "1Gi"}},
    ),
    Policy(
        "memory-limit-equals-request",
        _all("c.resources.requests['memory'] == c.resources.limits['memory']"),
        (*_MAIN, "resources", "requests"),
        {"cpu": "1", "memory": "1Mi"},
    ),
    Policy(
        "no-latest-tag",
        _all("c.image.contains(':') && !c.image.endsWith(':latest')"),
        (*_MAIN, "image"),
        "rayproject/ray:latest",
    ),
    Policy(
        "allowed-registries",
        _all("c.image.startsWith('rayproject/')"),
        (*_MAIN, "image"),
        "docker.io/other/ray:2.60.0",
    ),
    # KubeRay adds the container `autoscaler`, for which it supports no probes.
    Policy(
        "probes",
        "object.spec.containers.all(c, c.name == 'autoscaler'"
        " || (has(c.readinessProbe) && has(c.livenessProbe)))",
        (*_MAIN, "livenessProbe"),
        None,
    ),
    Policy(
        "required-labels",
        "'team' in object.metadata.labels",
        ("metadata", "labels"),
        {"app.kubernetes.io/managed-by": "raylift"},
    ),
    Policy(
        "no-naked-pods",
        "has(object.metadata.ownerReferences)"
        " && object.metadata.ownerReferences.exists(o, o.controller)",
        ("metadata", "ownerReferences"),
        [],
    ),
    Policy(
        "no-secrets-in-variables",
        _all(
            "!has(c.env) || c.env.all(e, !has(e.value) || e.value == ''"
            " || !e.name.matches('.*(PASSWORD|SECRET|AUTH_TOKEN)$'))"
        ),
        (*_MAIN, "env"),
        [{"name": "DB_PASSWORD", "value": "x"}],
    ),
    Policy(
        "short-grace-period",
        "object.spec.terminationGracePeriodSeconds <= 300",
        ("spec", "terminationGracePeriodSeconds"),
        3600,
    ),
    Policy(
        "no-open-services",
        "(!has(object.spec.type) || object.spec.type == 'ClusterIP')"
        " && !has(object.spec.externalIPs)",
        ("spec", "type"),
        "NodePort",
        "services",
    ),
    Policy(
        "small-claims",
        "quantity(object.spec.resources.requests['storage'])"
        ".compareTo(quantity('100Gi')) <= 0",
        ("spec", "resources", "requests", "storage"),
        "1Ti",
        "persistentvolumeclaims",
    ),
    Policy(
        "no-wildcard-roles",
        "object.rules.all(r, !('*' in r.verbs) && (!has(r.resources)"
        " || !('*' in r.resources)) && (!has(r.apiGroups) || !('*' in r.apiGroups)))",
        ("rules",),
        [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
        "roles",
    ),
    Policy(
        "drains-are-possible",
        "!has(object.spec.maxUnavailable) || string(object.spec.maxUnavailable) != '0'",
        ("spec",),
        {"maxUnavailable": 0, "selector": {"matchLabels": {"a": "b"}}},
        "poddisruptionbudgets",
    ),
)
