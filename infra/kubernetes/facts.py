"""What a cluster says of itself, read once before a stack is planned in it."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from infra.kubernetes.gpu import GPU_RESOURCE
from infra.kubernetes.ray_service import STACK_LABEL
from raylift.errors import CannotWork, Denied, InputFailed, Unreachable
from raylift.wording import did_you_mean, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightkube import Client
    from lightkube.config.kubeconfig import SingleConfig

    from infra.kubernetes.config import Kubernetes, KubernetesConfig

_CRD = "rayservices.ray.io"
_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
_TAG = re.compile(r":v?(\d+\.\d+\.\d+)")
_SECONDS = 10
_PLUGIN_API = "client.authentication.k8s.io/v1beta1"
_OURSELVES = "raylift"


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
    `operator` is None where there is none, or the stack's own.
    """

    uid: str = ""
    context: str | None = None
    version: tuple[int, int] = (1, 35)
    owns_namespace: bool = True
    operator: FoundOperator | None = None
    api_server: tuple[str, ...] = ()
    storage_classes: tuple[str, ...] = ()
    default_storage_class: str | None = None
    ingress_classes: tuple[str, ...] = ()
    gpus: int = 0
    denied: tuple[str, ...] = ()


def access(named: Kubernetes) -> SingleConfig:
    """The cluster that a stack file names, as the kubeconfig describes it.

    Raises:
        InputFailed: there is no such kubeconfig or context.
    """
    from lightkube import KubeConfig
    from lightkube.core.exceptions import ConfigError

    try:
        if named.kubeconfig:
            loaded = KubeConfig.from_file(Path(named.kubeconfig).expanduser())
        else:
            loaded = KubeConfig.from_env()
    except ConfigError as error:
        text = printable(str(error), limit=200)
        raise InputFailed.at("raylift:kubernetes.kubeconfig", text) from None
    wanted = named.context or loaded.current_context
    if wanted not in loaded.contexts:
        known = sorted(loaded.contexts)
        text = f"'{wanted}' is not in the kubeconfig" if wanted else "none is current"
        raise InputFailed.at(
            "raylift:kubernetes.context",
            f"{text}{did_you_mean(wanted or '', known)}",
            hint=f"contexts here: {', '.join(known) or 'none'}",
        )
    return _by_its_plugin(loaded.get(wanted))


def access_by(text: str) -> SingleConfig:
    """The cluster that the text of a kubeconfig describes."""
    from lightkube import KubeConfig

    return _by_its_plugin(KubeConfig.from_dict(json.loads(text)).get())


def _by_its_plugin(found: Any) -> SingleConfig:  # noqa: ANN401 lightkube may have none
    """An entry whose plugin for tokens, if it has one, lightkube runs.

    It refuses `v1`, though it treats every version alike; and `raylift` itself need not
    be on the user's PATH.
    """
    plugin = found.user.exec if found.user else None
    if plugin:
        plugin.apiVersion = _PLUGIN_API
        if plugin.command == _OURSELVES:
            plugin.command = str(Path(sys.executable).parent / _OURSELVES)
    return cast("SingleConfig", found)


def facts_of(config: KubernetesConfig, stack: str) -> Facts:
    """Read what planning needs to know.

    Raises:
        InputFailed: the context is not there.
        Unreachable: the API server does not answer.
        Denied: it answers, but not to us.
    """
    import httpx2
    from lightkube import Client
    from lightkube.core.exceptions import ApiError, ConfigError

    client = Client(config=access(config.kubernetes), trust_env=False)
    try:
        return _read(client, config, stack)
    except ApiError as error:
        reason = str(error.status.message or error)
        if error.status.code in (401, 403):
            raise Denied(
                f"the Kubernetes API server refuses: {reason}",
                hint="kubectl auth whoami",
            ) from None
        raise CannotWork(f"the Kubernetes API server says: {reason}") from None
    except ConfigError as error:
        raise Denied(f"no token for the Kubernetes API server: {error}") from None
    except httpx2.HTTPError as error:
        raise Unreachable(
            f"the Kubernetes API server does not answer: {error}",
            hint="kubectl cluster-info",
        ) from None


def uid_of(access: SingleConfig) -> str:
    """The uid of a cluster's namespace kube-system.

    Raises:
        Unreachable: the API server does not answer.
        CannotWork: it does, but not with that.
    """
    answer = _get(access, "/api/v1/namespaces/kube-system")
    return str(answer["metadata"]["uid"])


def _read(
    client: Any,  # noqa: ANN401 lightkube types every field as one that may be missing
    config: KubernetesConfig,
    stack: str,
) -> Facts:
    from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
    from lightkube.resources.core_v1 import Namespace, Node
    from lightkube.resources.networking_v1 import IngressClass
    from lightkube.resources.storage_v1 import StorageClass

    names = {n.metadata.name: n.metadata for n in client.list(Namespace)}
    crds = {crd.metadata.name for crd in client.list(CustomResourceDefinition)}
    classes = list(client.list(StorageClass))
    home, wanted = config.ray.operator.namespace, config.kubernetes.namespace
    installs = _CRD not in crds or _is_of(stack, names.get(home))
    return Facts(
        uid=names["kube-system"].uid,
        context=client.config.context_name,
        version=_version(client.config),
        owns_namespace=wanted not in names or _is_of(stack, names[wanted]),
        operator=None if installs else _operator(client, home),
        api_server=tuple(_api_server(client)),
        storage_classes=tuple(found.metadata.name for found in classes),
        default_storage_class=_default(classes),
        ingress_classes=tuple(c.metadata.name for c in client.list(IngressClass)),
        gpus=sum(_gpus(node) for node in client.list(Node)),
        denied=tuple(_denied(client, wanted, installs=installs)),
    )


def _is_of(stack: str, metadata: Any) -> bool:  # noqa: ANN401 lightkube's ObjectMeta
    return bool(metadata) and (metadata.labels or {}).get(STACK_LABEL) == stack


def _default(classes: list[Any]) -> str | None:
    for found in classes:
        if (found.metadata.annotations or {}).get(_DEFAULT_CLASS) == "true":
            return str(found.metadata.name)
    return None


def _gpus(node: Any) -> int:  # noqa: ANN401 lightkube's Node
    return int((node.status.allocatable or {}).get(GPU_RESOURCE, 0))


def _get(access: SingleConfig, path: str) -> dict[str, Any]:
    """What the API server answers to a plain question."""
    import httpx2
    from lightkube.config.client_adapter import Client as Http
    from lightkube.config.client_adapter import ConnectionParams

    parameters = ConnectionParams(timeout=httpx2.Timeout(_SECONDS), trust_env=False)
    try:
        with Http(access, parameters) as http:
            answer = http.get(path)
    except httpx2.HTTPError as error:
        raise Unreachable(
            f"the Kubernetes API server does not answer: {error}",
            hint="kubectl cluster-info",
        ) from None
    if not answer.is_success:
        raise CannotWork(f"the Kubernetes API server says: {answer.text[:200]}")
    return dict(answer.json())


def _version(access: SingleConfig) -> tuple[int, int]:
    """Major and minor; a provider may add a sign to the minor."""
    answer = _get(access, "/version")
    return int(answer["major"]), int(re.sub(r"\D", "", answer["minor"]))


def _operator(client: Any, home: str) -> FoundOperator:  # noqa: ANN401 as above
    from lightkube.resources.apps_v1 import Deployment

    named = {"app.kubernetes.io/name": "kuberay-operator"}
    for found in client.list(Deployment, namespace="*", labels=named):
        image = found.spec.template.spec.containers[0].image
        tag = _TAG.search(image)
        return FoundOperator(tag[1] if tag else "", found.metadata.namespace)
    return FoundOperator("", home)


def _api_server(client: Any) -> Iterator[str]:  # noqa: ANN401 as above
    """Addresses that the API server has, as the Service `kubernetes` names them."""
    from lightkube.resources.discovery_v1 import EndpointSlice

    labels = {"kubernetes.io/service-name": "kubernetes"}
    for part in client.list(EndpointSlice, namespace="default", labels=labels):
        for endpoint in part.endpoints or ():
            yield from (f"{address}/32" for address in endpoint.addresses)


def _denied(client: Client, namespace: str, *, installs: bool) -> Iterator[str]:
    """What the stack has to make and these credentials may not."""
    wanted = [("ray.io", "rayservices", namespace), ("", "secrets", namespace)]
    if installs:
        wanted.append(("apiextensions.k8s.io", "customresourcedefinitions", ""))
    for group, resource, where in wanted:
        if not _may_create(client, group, resource, where):
            yield f"{resource}{f' in namespace {where}' if where else ''}"


def _may_create(client: Client, group: str, resource: str, namespace: str) -> bool:
    from lightkube.models.authorization_v1 import (
        ResourceAttributes,
        SelfSubjectAccessReviewSpec,
    )
    from lightkube.resources.authorization_v1 import SelfSubjectAccessReview

    asked: Any = ResourceAttributes(
        group=group, resource=resource, verb="create", namespace=namespace or None
    )
    spec = SelfSubjectAccessReviewSpec(resourceAttributes=asked)
    answer = client.create(SelfSubjectAccessReview(spec=spec))
    return bool(answer.status and answer.status.allowed)
