"""Conversion of a recorded program to what checkov reads: a plan and manifests.

checkov does not support Pulumi and does not read the pods in a RayService. Pulumi's
AWS resources are those of Terraform's provider under other names, so they become a
Terraform plan. A RayService becomes the pods that KubeRay creates from its templates.
"""

from __future__ import annotations

import copy
import re

_MODULES = {"ec2": "", "vpc": "vpc_"}
# Mappings that are maps in Terraform, too; all others are blocks.
_MAPPINGS = {"tags", "labels"}
# Blocks that have a plural name in Pulumi.
_SINGULAR = {"rules": "rule", "taints": "taint", "parameters": "parameter"}
# KubeRay adds probes to containers without any (common/pod.go,
# initReadinessAndLivenessProbe).
_PROBE = {"exec": {"command": ["bash", "-c", "wget -q -O- localhost:52365 | grep ok"]}}


def plan(program) -> dict:
    """Return the AWS resources of a recorded program as a Terraform plan."""
    created = [r for r in program.resources.values() if r.kind.startswith("aws:")]
    addresses = {r.urn: _address(r) for r in created}
    values, expressions = [], []
    for resource in created:
        known, references = _values(resource, addresses)
        of = {
            "address": _address(resource),
            "mode": "managed",
            "type": _type(resource.kind),
            "name": resource.name,
        }
        values.append({**of, "provider_name": "aws", "values": known})
        expressions.append({**of, "expressions": references})
    changes = [
        {
            **value,
            "change": {"actions": ["create"], "before": None, "after": value["values"]},
        }
        for value in values
    ]
    return {
        "format_version": "1.2",
        "terraform_version": "1.9.0",
        "planned_values": {"root_module": {"resources": values}},
        "resource_changes": changes,
        "configuration": {"root_module": {"resources": expressions}},
    }


def manifests(program) -> list[dict]:
    """Return a recorded program's Kubernetes objects; for a RayService, its pods."""
    found = []
    for resource in program.resources.values():
        if resource.kind.endswith(":RayService") and "spec" in resource.inputs:
            found += _pods(resource)
        elif "apiVersion" in resource.inputs and "kind" in resource.inputs:
            found.append(_object(resource))
    return found


def _type(kind: str) -> str:
    """Return `aws_eks_cluster` for `aws:eks/cluster:Cluster`."""
    module, name = kind.split(":")[1].split("/")
    return f"aws_{_MODULES.get(module, f'{module}_')}{_snake(name)}"


def _address(resource) -> str:
    return f"{_type(resource.kind)}.{resource.name}"


def _snake(name: str) -> str:
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
    return _SINGULAR.get(snake, snake)


def _values(resource, addresses) -> tuple[dict, dict]:
    """Return the inputs of a resource, and the references in them.

    A value that comes from another resource is omitted, as in a plan before creation;
    checkov follows the reference instead.
    """
    given = {_snake(key): _block(value) for key, value in resource.inputs.items()}
    given |= {k: resource.inputs[k] for k in _MAPPINGS & resource.inputs.keys()}
    references = {}
    for key, found in resource.request.propertyDependencies.items():
        to = [addresses[urn] for urn in found.urns if urn in addresses]
        value = given.get(_snake(key))
        if not to or _is_whole(value):
            continue
        references[_snake(key)] = {"references": [f"{to[0]}.id", *to]}
        given[_snake(key)] = [None] if isinstance(value, list) else None
    return given, references


def _is_whole(value) -> bool:
    """Return whether a value contains more than a reference to another resource."""
    texts = value if isinstance(value, list) else [value]
    return not all(isinstance(text, str) and text[:1] != "{" for text in texts)


def _block(value):
    if isinstance(value, dict):
        return [{_snake(key): _block(item) for key, item in value.items()}]
    if isinstance(value, list):
        found = [_block(item) for item in value]
        return [item[0] if isinstance(item, list) else item for item in found]
    return value


def _object(resource) -> dict:
    body = {k: v for k, v in resource.inputs.items() if v != "[secret]"}
    body["metadata"] = {"name": resource.name, **body["metadata"]}
    return body


def _pods(service) -> list[dict]:
    """Return the pods that KubeRay creates from the templates of a RayService.

    The autoscaler's container in the head's pod is missing, because KubeRay defines it.
    """
    cluster = service.inputs["spec"]["rayClusterConfig"]
    groups = {g["groupName"]: g["template"] for g in cluster["workerGroupSpecs"]}
    head = _pod(service, "head", "head", cluster["headGroupSpec"]["template"])
    return [
        head,
        *(_pod(service, "worker", name, group) for name, group in groups.items()),
    ]


def _pod(service, role, name, template) -> dict:
    template = copy.deepcopy(template)
    metadata = service.inputs["metadata"]
    spec = template["spec"]
    for container in spec["containers"]:
        container.setdefault("livenessProbe", _PROBE)
        container.setdefault("readinessProbe", _PROBE)
    labels = template["metadata"]["labels"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{metadata['name']}-{name}",
            "namespace": metadata["namespace"],
            "labels": {**labels, "ray.io/node-type": role},
        },
        "spec": spec,
    }
