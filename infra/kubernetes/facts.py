"""What a cluster says of itself, read once before a stack is planned in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.kubernetes.foreign import served_by_operator
from infra.kubernetes.gpu import GPU_RESOURCE
from raylift.kubernetes import Api, access
from raylift.ray_service import STACK_LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.kubernetes.config import KubernetesConfig

_CORE, _APPS = "/api/v1", "/apis/apps/v1"
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
    """A KubeRay operator that is there; an empty version is one that nobody tells."""

    version: str
    namespace: str


@dataclass(frozen=True, slots=True)
class Facts:
    """A cluster as a stack finds it.

    `uid` is that of its namespace kube-system, which is as old as the cluster;
    `context` is what the kubeconfig calls it.
    `operator` is None where none is seen, or the stack's own. Helm leaves `has_crds`
    when it takes the operator away; `served` is what KubeRay works for although no
    operator is seen.
    `has_prometheus`: Prometheus' operator is there.
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


def facts_of(config: KubernetesConfig, stack: str) -> Facts:
    """Read what planning needs to know.

    Raises:
        InputFailed: the context is not there.
        Unreachable, Denied, CannotWork: as Api.
    """
    entry = access(config.kubernetes.kubeconfig, config.kubernetes.context)
    with Api(entry) as api:
        return _read(api, config, stack, entry.context_name)


def uid_of(api: Api) -> str:
    """The uid of a cluster's namespace kube-system."""
    return str(api.get(_SYSTEM)["metadata"]["uid"])


def _read(api: Api, config: KubernetesConfig, stack: str, context: str | None) -> Facts:
    spaces = {_name(found): found for found in api.items(f"{_CORE}/namespaces")}
    classes = api.items(_STORAGE)
    home, wanted = config.ray.operator.namespace, config.kubernetes.namespace
    found = _operator(api)
    operator = None if found and _is_of(stack, spaces.get(found.namespace)) else found
    return Facts(
        uid=spaces["kube-system"]["metadata"]["uid"],
        context=context,
        version=_version(api),
        owns_namespace=wanted not in spaces or _is_of(stack, spaces[wanted]),
        owns_operator_namespace=home not in spaces or _is_of(stack, spaces[home]),
        operator=operator,
        served=() if found else tuple(served_by_operator(api, stack)),
        has_crds=api.get(f"{_CRDS}/{_CRD}") is not None,
        api_server=tuple(_api_server(api)),
        storage_classes=tuple(map(_name, classes)),
        default_storage_class=_default(classes),
        ingress_classes=tuple(map(_name, api.items(_INGRESS))),
        has_prometheus=api.get(f"{_CRDS}/{_MONITORS}") is not None,
        gpus=sum(map(_gpus, api.items(f"{_CORE}/nodes"))),
        denied=tuple(_denied(api, wanted, installs=operator is None)),
    )


def _name(found: Any) -> str:  # noqa: ANN401 an object as JSON, as below
    return str(found["metadata"]["name"])


def _is_of(stack: str, found: Any) -> bool:  # noqa: ANN401
    labels = found["metadata"].get("labels", {}) if found else {}
    return bool(labels.get(STACK_LABEL) == stack)


def _default(classes: list[Any]) -> str | None:
    for found in classes:
        if found["metadata"].get("annotations", {}).get(_DEFAULT_CLASS) == "true":
            return _name(found)
    return None


def _gpus(node: Any) -> int:  # noqa: ANN401
    return int(node["status"].get("allocatable", {}).get(GPU_RESOURCE, 0))


def _version(api: Api) -> tuple[int, int]:
    """Major and minor; a provider may add a sign to the minor."""
    answer = api.get("/version")
    return int(answer["major"]), int(re.sub(r"\D", "", answer["minor"]))


def _operator(api: Api) -> FoundOperator | None:
    """The KubeRay operator of the cluster, by the name that its chart gives."""
    for found in api.items(f"{_APPS}/deployments", fieldSelector=_OPERATOR):
        image = found["spec"]["template"]["spec"]["containers"][0]["image"]
        tag = _TAG.search(image)
        return FoundOperator(tag[1] if tag else "", found["metadata"]["namespace"])
    return None


def _api_server(api: Api) -> Iterator[str]:
    """Addresses that the API server has, as the Service `kubernetes` names them."""
    named = "kubernetes.io/service-name=kubernetes"
    for part in api.items(_API_SERVER, labelSelector=named):
        for endpoint in part.get("endpoints") or ():
            yield from (f"{address}/32" for address in endpoint["addresses"])


def _denied(api: Api, namespace: str, *, installs: bool) -> Iterator[str]:
    """What the stack has to make and these credentials may not."""
    wanted = [("ray.io", "rayservices", namespace), ("", "secrets", namespace)]
    if installs:
        wanted.append(("apiextensions.k8s.io", "customresourcedefinitions", ""))
    for group, resource, where in wanted:
        if not _may_create(api, group, resource, where):
            yield f"{resource}{f' in namespace {where}' if where else ''}"


def _may_create(api: Api, group: str, resource: str, namespace: str) -> bool:
    asked = {"group": group, "resource": resource, "verb": "create"}
    if namespace:
        asked["namespace"] = namespace
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": asked},
    }
    return bool(api.create(_REVIEW, body)["status"]["allowed"])
