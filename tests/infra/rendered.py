"""Rendered resources, the callers that a stack file allows, and shared constants."""

from __future__ import annotations

import dataclasses
import ipaddress

SERVE, DASHBOARD, METRICS, GCS, CLIENT = 8000, 8265, 8080, 6379, 10001
STORE = 8081
STACK, ROLE = "raylift.io/stack", "ray.io/node-type"
COMPONENT, PACKAGES = "raylift.io/component", "packages"
SECRET = "[secret]"
METADATA = "169.254.169.254/32"
ANY_NAMESPACE = "kubernetes.io/metadata.name"
ENCRYPTION = "BucketServerSideEncryptionConfiguration"
WIDE = 8  # networks with a shorter prefix count as everybody


@dataclasses.dataclass(frozen=True)
class Rendered:
    """A resource that does not come from a recorded program."""

    kind: str
    name: str
    inputs: dict


@dataclasses.dataclass(frozen=True)
class Allowed:
    """Allowed callers for each port according to the stack file.

    Callers are namespaces and networks. `policies` is whether the stack must have
    network policies. `taints` are the expected taints of GPU node groups, by name.
    """

    serve: frozenset[str] = frozenset()
    dashboard: frozenset[str] = frozenset()
    metrics: frozenset[str] = frozenset()
    packages: frozenset[str] = frozenset()
    policies: bool = True
    admins: frozenset[str] = frozenset()
    policy_arns: frozenset[str] = frozenset()
    taints: dict = dataclasses.field(default_factory=dict)

    def on(self, port: int) -> frozenset[str]:
        """Return who may connect to a port."""
        by_port = {
            SERVE: self.serve,
            DASHBOARD: self.dashboard,
            METRICS: self.metrics,
            STORE: self.packages,
        }
        return by_port.get(port, frozenset())


def is_wide(text: str) -> bool:
    """Return whether a text is a network so large that it counts as everybody."""
    try:
        return "/" in text and ipaddress.ip_network(text, strict=False).prefixlen < WIDE
    except ValueError:
        return False


def walk(value, path=()):
    """Yield every value within a value, after the path of keys to it."""
    yield path, value
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, item in items:
        yield from walk(item, (*path, key))


def all_pods(resources):
    """Yield stack, role, name and labels of each pod of Ray and the package store."""
    for resource in resources:
        if resource.kind.endswith("ray.io/v1:RayService"):
            for role, name, template in pods(resource):
                labels = {**template["metadata"]["labels"], ROLE: role}
                yield resource.inputs["metadata"]["name"], role, name, labels
        elif resource.kind.endswith("apps/v1:Deployment"):
            labels = resource.inputs["spec"]["template"]["metadata"]["labels"]
            yield labels.get(STACK), labels.get(COMPONENT), PACKAGES, labels


def pods(service):
    """Yield role, group name and template of each pod template of a RayService."""
    cluster = service.inputs["spec"]["rayClusterConfig"]
    yield "head", "head", cluster["headGroupSpec"]["template"]
    for group in cluster["workerGroupSpecs"]:
        yield "worker", group["groupName"], group["template"]
