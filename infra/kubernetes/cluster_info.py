"""State of an existing cluster, read once before a stack is planned.

It covers versions, StorageClasses, GPUs, the KubeRay operator and the permissions of
the caller. `preflight.py` decides whether they are sufficient.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raylift.infra.kubernetes.gpu import GPU_RESOURCE
from raylift.infra.kubernetes.ownership import served_by_operator
from raylift.kube_api import Api
from raylift.kubeconfig import access
from raylift.ray_service_client import STACK_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raylift.infra.kubernetes.config import KubernetesConfig

_CORE, _APPS = "/api/v1", "/apis/apps/v1"
RBAC = "rbac.authorization.k8s.io"
_SYSTEM = f"{_CORE}/namespaces/kube-system"
_OPERATOR = "metadata.name=kuberay-operator"
_CRD = "rayservices.ray.io"
_MONITORS = "podmonitors.monitoring.coreos.com"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_STORAGE = "/apis/storage.k8s.io/v1/storageclasses"
_INGRESS = "/apis/networking.k8s.io/v1/ingressclasses"
_API_SERVER = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_TAG = re.compile(r":v?(\d+\.\d+\.\d+)")


@dataclass(frozen=True, slots=True)
class FoundOperator:
    """An installed KubeRay operator; `version` is empty if its image tag has none."""

    version: str
    namespace: str


@dataclass(frozen=True, slots=True)
class ClusterInfo:
    """A cluster before the stack changes it.

    Attributes:
        uid: UID of the namespace kube-system, which identifies the cluster.
        context: Name of the cluster's context in the kubeconfig.
        version: Major and minor version of Kubernetes.
        owns_namespace: Whether the stack's namespace is missing or belongs to the
            stack.
        owns_operator_namespace: The same for the operator's namespace.
        operator: The KubeRay operator; None if it is not visible or belongs to the
            stack.
        has_crds: Whether KubeRay's CRDs exist; Helm keeps them on uninstall.
        served: KubeRay objects of others, if no operator is visible.
        api_server: Addresses of the API server, as CIDRs.
        gpus: Number of allocatable GPUs.
        has_prometheus: Whether the Prometheus Operator's CRDs exist.
        denied: Kinds of objects that the caller may not create.
    """

    uid: str = ""
    context: str | None = None
    version: tuple[int, int] = (1, 35)
    owns_namespace: bool = True
    owns_operator_namespace: bool = True
    operator: FoundOperator | None = None
    has_crds: bool = False
    served: tuple[str, ...] = ()
    api_server: tuple[str, ...] = ()
    storage_classes: tuple[str, ...] = ()
    default_storage_class: str | None = None
    ingress_classes: tuple[str, ...] = ()
    gpus: int = 0
    has_prometheus: bool = False
    denied: tuple[str, ...] = ()


def read_cluster_info(config: KubernetesConfig, stack: str) -> ClusterInfo:
    """Read the state of the cluster in the stack file.

    Raises:
        InvalidInput: The kubeconfig or its context does not exist.
        Unreachable, PermissionDenied, FailedPrecondition: See `Api`.
    """
    entry = access(config.kubernetes.kubeconfig, config.kubernetes.context)
    with Api(entry) as api:
        return _read(api, config, stack, entry.context_name)


def uid_of(api: Api) -> str:
    """Return the UID of the namespace kube-system, which identifies the cluster."""
    return str(api.get(_SYSTEM)["metadata"]["uid"])


def _read(
    api: Api, config: KubernetesConfig, stack: str, context: str | None
) -> ClusterInfo:
    spaces = {_name(space): space for space in api.items(f"{_CORE}/namespaces")}
    classes = api.items(_STORAGE)
    namespace = config.kubernetes.namespace
    visible = _operator(api)
    is_ours = visible and _belongs_to(stack, spaces.get(visible.namespace))
    operator = None if is_ours else visible

    def owns(name: str) -> bool:
        return name not in spaces or _belongs_to(stack, spaces[name])

    return ClusterInfo(
        uid=spaces["kube-system"]["metadata"]["uid"],
        context=context,
        version=_version(api),
        owns_namespace=owns(namespace),
        owns_operator_namespace=owns(config.ray.operator.namespace),
        operator=operator,
        served=() if visible else tuple(served_by_operator(api, stack)),
        has_crds=api.get(f"{_CRDS}/{_CRD}") is not None,
        api_server=tuple(_api_server(api)),
        storage_classes=tuple(map(_name, classes)),
        default_storage_class=_default(classes),
        ingress_classes=tuple(map(_name, api.items(_INGRESS))),
        has_prometheus=api.get(f"{_CRDS}/{_MONITORS}") is not None,
        gpus=sum(map(_gpus, api.items(f"{_CORE}/nodes"))),
        denied=tuple(_denied(api, config, installs=operator is None)),
    )


def _name(body: dict[str, Any]) -> str:
    return str(body["metadata"]["name"])


def _belongs_to(stack: str, body: dict[str, Any] | None) -> bool:
    labels = body["metadata"].get("labels", {}) if body else {}
    return bool(labels.get(STACK_LABEL) == stack)


def _default(classes: list[dict[str, Any]]) -> str | None:
    for each in classes:
        if each["metadata"].get("annotations", {}).get(_DEFAULT_CLASS) == "true":
            return _name(each)
    return None


def _gpus(node: dict[str, Any]) -> int:
    return int(node["status"].get("allocatable", {}).get(GPU_RESOURCE, 0))


def _version(api: Api) -> tuple[int, int]:
    """Return major and minor version; some providers append `+` to the minor."""
    answer = api.get("/version")
    return int(answer["major"]), int(re.sub(r"\D", "", answer["minor"]))


def _operator(api: Api) -> FoundOperator | None:
    """Return the KubeRay operator, identified by the name in its chart."""
    for deployment in api.items(f"{_APPS}/deployments", fieldSelector=_OPERATOR):
        image = deployment["spec"]["template"]["spec"]["containers"][0]["image"]
        tag = _TAG.search(image)
        namespace = deployment["metadata"]["namespace"]
        return FoundOperator(tag[1] if tag else "", namespace)
    return None


def _api_server(api: Api) -> Iterator[str]:
    """Yield the API server's addresses from the endpoints of Service `kubernetes`."""
    selector = "kubernetes.io/service-name=kubernetes"
    for endpoint_slice in api.items(_API_SERVER, labelSelector=selector):
        for endpoint in endpoint_slice.get("endpoints") or ():
            yield from (f"{address}/32" for address in endpoint["addresses"])


def _denied(api: Api, config: KubernetesConfig, *, installs: bool) -> Iterator[str]:
    """Yield the kinds of objects that the stack must create without permission.

    With `installs`, the stack installs the operator and its CRDs.
    """
    namespace = config.kubernetes.namespace
    required = [
        ("ray.io", "rayservices", namespace),
        ("", "secrets", namespace),
        ("", "configmaps", namespace),
    ]
    if config.access.deployers or config.access.viewers:
        required += [(RBAC, kind, namespace) for kind in ("roles", "rolebindings")]
    if installs:
        required.append(("apiextensions.k8s.io", "customresourcedefinitions", ""))
    for group, resource, scope in required:
        if not _may_create(api, group, resource, scope):
            yield f"{resource}{f' in namespace {scope}' if scope else ''}"


def _may_create(api: Api, group: str, resource: str, namespace: str) -> bool:
    attributes = {"group": group, "resource": resource, "verb": "create"}
    if namespace:
        attributes["namespace"] = namespace
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    return bool(api.create(_REVIEW, body)["status"]["allowed"])
