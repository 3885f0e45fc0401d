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

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raylift.infra.kubernetes.config import KubernetesConfig

_PULUMI = "pulumi.com/"
# Objects before those that refer to them; the RayService, which starts pods, is last.
_ORDER = (
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

    They include neither the namespace nor the Secret of a package store.

    Raises:
        InvalidInput: The stack file contains secrets, or leaves something to the state
            of the cluster, which is not read.
    """
    file = f"stacks/Pulumi.{stack}.yaml"
    if problems := [Problem(file, f"raylift:{text}") for text in _problems(config)]:
        raise InvalidInput(*problems)
    info = ClusterInfo(
        owns_namespace=False,
        operator=FoundOperator("", config.ray.operator.namespace),
        has_prometheus=config.observability.prometheus is True,
    )
    recorded = _recorded(config, stack, project, info)
    objects = [_without_pulumi(o) for o in recorded if o["kind"] != "Secret"]
    return sorted(objects, key=_rank)


def _problems(config: KubernetesConfig) -> Iterator[str]:
    """Yield the keys that cannot be rendered, and those that must be in the file."""
    if config.ray.secret_env:
        yield "ray.secretEnv: cannot be rendered; use envFrom with a Secret"
    if config.ray.operator.install is not False:
        yield "ray.operator.install: must be false, because no chart is rendered"
    for key in _missing(config):
        yield f"{key}: required, because the cluster is not read"


def _missing(config: KubernetesConfig) -> Iterator[str]:
    """Yield the keys that `up` would read from the cluster."""
    policy, operator = config.network_policy, config.ray.operator
    if policy.enabled and "namespace" not in operator.model_fields_set:
        yield "ray.operator.namespace"
    if policy.enabled and not policy.api_server_cidrs:
        yield "networkPolicy.apiServerCidrs"
    storage, packages = config.fault_tolerance, config.package_volume
    if storage.gcs_storage == "rocksdb" and not storage.storage_class_name:
        yield "faultTolerance.storageClassName"
    if packages and not packages.storage_class_name:
        yield "packageVolume.storageClassName"
    if policy.metrics_from and config.observability.prometheus is None:
        yield "observability.prometheus"


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
    if kept := {k: v for k, v in annotations.items() if not k.startswith(_PULUMI)}:
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
