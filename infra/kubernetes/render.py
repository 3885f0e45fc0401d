"""Manifests of a stack, for tools that apply them in place of Pulumi.

The same program runs, with an engine in memory that records the objects.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.runtime import mocks

from raylift.errors import InvalidInput, Problem
from raylift.infra.kubernetes import program
from raylift.infra.kubernetes.cluster_info import ClusterInfo, FoundOperator
from raylift.infra.kubernetes.package_uri import store_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raylift.infra.kubernetes.config import KubernetesConfig

_PULUMI = "pulumi.com/"
# Objects before those that refer to them; the RayService, which starts pods, is last.
_ORDER = (
    "Namespace",
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "NetworkPolicy",
    "PersistentVolumeClaim",
    "ConfigMap",
    "Service",
    "PodDisruptionBudget",
    "PodMonitor",
    "Deployment",
    "Ingress",
    "RayService",
)


def manifests(
    config: KubernetesConfig, stack: str, *, project: str
) -> list[dict[str, Any]]:
    """Return the objects of a stack, in the order in which to apply them.

    They do not include the Secret of a package store; see `missing_secret`.

    Raises:
        InvalidInput: The stack file contains secrets, or leaves something to the state
            of the cluster, which is not read.
    """
    if problems := list(_problems(config)):
        raise InvalidInput(*problems)
    operator = FoundOperator("", config.ray.operator.namespace)
    monitored = config.observability.prometheus is True
    info = ClusterInfo(operator=operator, has_prometheus=monitored)
    recorded = _recorded(config, stack, project, info)
    objects = [_without_pulumi(o) for o in recorded if o["kind"] != "Secret"]
    return sorted(objects, key=_rank)


def missing_secret(config: KubernetesConfig, stack: str) -> str:
    """Return the name of the Secret that the manifests need, or "".

    It must contain a random value under the key `token`.
    """
    return store_name(stack) if config.package_volume else ""


def _problems(config: KubernetesConfig) -> Iterator[Problem]:
    ray, policy = config.ray, config.network_policy
    if ray.secret_env:
        yield Problem(
            "raylift:ray.secretEnv", "cannot be rendered; use envFrom with a Secret"
        )
    if ray.operator.install is not False:
        yield Problem(
            "raylift:ray.operator.install", "must be false; the chart is not rendered"
        )
    if policy.enabled and policy.api_server_cidrs is None:
        yield _required("networkPolicy.apiServerCidrs")
    storage, packages = config.fault_tolerance, config.package_volume
    if storage.gcs_storage == "rocksdb" and storage.storage_class_name is None:
        yield _required("faultTolerance.storageClassName")
    if packages and packages.storage_class_name is None:
        yield _required("packageVolume.storageClassName")


def _required(key: str) -> Problem:
    return Problem(f"raylift:{key}", "required, because the cluster is not read")


class _Recorder(mocks.Mocks):
    """An engine that records the inputs of objects and creates nothing."""

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []

    def new_resource(
        self, args: mocks.MockResourceArgs
    ) -> tuple[str | None, dict[str, Any]]:
        """Record a resource of Kubernetes; its outputs are its inputs."""
        if "apiVersion" in args.inputs:
            self.objects.append(args.inputs)
        return args.name, args.inputs

    def call(self, args: mocks.MockCallArgs) -> Any:  # noqa: ANN401 see Mocks
        """Refuse: this program calls no function of a provider."""
        raise NotImplementedError(args.token)


def _recorded(
    config: KubernetesConfig, stack: str, project: str, info: ClusterInfo
) -> list[dict[str, Any]]:
    recorder = _Recorder()
    with warnings.catch_warnings():
        # Pulumi gets its event loop in a way that Python deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        mocks.set_mocks(recorder, project=project, stack=stack)
        run = pulumi.runtime.test(lambda: program.build(config, stack, info))  # type: ignore[no-untyped-call]
        run()
    return recorder.objects


def _without_pulumi(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest without the annotations for Pulumi's provider.

    Keys are sorted, except that the manifest starts as usual.
    """
    metadata = dict(manifest["metadata"])
    annotations = metadata.pop("annotations", {})
    kept = {k: v for k, v in annotations.items() if not k.startswith(_PULUMI)}
    if kept:
        metadata["annotations"] = kept
    rest: dict[str, Any] = _plain({**manifest, "metadata": metadata})
    return {key: rest[key] for key in ("apiVersion", "kind", "metadata")} | rest


def _plain(value: Any) -> Any:  # noqa: ANN401 JSON
    """Return a value with sorted keys, and with whole numbers as int.

    Pulumi passes every number as float, and keys in a random order.
    """
    match value:
        case dict():
            return {key: _plain(value[key]) for key in sorted(value)}
        case list():
            return [_plain(item) for item in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def _rank(manifest: dict[str, Any]) -> tuple[int, str]:
    return _ORDER.index(manifest["kind"]), manifest["metadata"]["name"]
