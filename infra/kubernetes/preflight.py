"""Requirements of a stack on its cluster, checked before creation; pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylift.errors import FailedPrecondition, InvalidInput, PermissionDenied
from raylift.infra.kubernetes.validators import numbers
from raylift.infra.kubernetes.worker_groups import node_shapes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raylift.infra.kubernetes.cluster_info import ClusterInfo, FoundOperator
    from raylift.infra.kubernetes.config import KubernetesConfig

_OLDEST = (1, 28)
_AUTH_OPTIONS = "1.5.1"  # the first KubeRay with authOptions


def refuse_what_lacks(config: KubernetesConfig, info: ClusterInfo) -> None:
    """Raise an error for the first requirement that is not met.

    Raises:
        FailedPrecondition: A version is too old, or GPUs or an operator are missing.
        PermissionDenied: The credentials do not allow a required operation.
        InvalidInput: A class in the stack file does not exist.
    """
    _check_access(info)
    _check_operator(config, info)
    _check_storage_classes(config, info)
    _check_ingress_class(config, info)
    if config.observability.prometheus is True and not info.has_prometheus:
        raise FailedPrecondition(
            "the cluster has no Prometheus Operator",
            hint="set raylift:observability.prometheus to auto",
        )
    shapes = node_shapes(config.node_groups)
    if any(shape.num_gpus for shape in shapes) and not info.gpus:
        raise FailedPrecondition(
            "no node in the cluster provides nvidia.com/gpu",
            hint="install the NVIDIA device plugin",
        )


def _check_access(info: ClusterInfo) -> None:
    if info.version < _OLDEST:
        version = ".".join(map(str, info.version))
        raise FailedPrecondition(
            f"the cluster runs Kubernetes {version}; 1.28 or newer is required"
        )
    if info.denied:
        raise PermissionDenied(
            "the credentials in the kubeconfig do not allow creating"
            f" {', '.join(info.denied)}",
            hint="ask an administrator to grant this permission or, if the KubeRay"
            " operator is not installed, to install it",
        )


def _check_operator(config: KubernetesConfig, info: ClusterInfo) -> None:
    if info.operator is None:
        _check_missing_operator(config, info)
    else:
        _check_installed_operator(config, info.operator)


def _check_missing_operator(config: KubernetesConfig, info: ClusterInfo) -> None:
    """Check that an operator can be installed, or that a hidden one exists.

    An operator that the cluster's provider manages may be hidden from users, but its
    CRDs are visible.
    """
    operator = config.ray.operator
    if operator.install is False and not info.has_crds:
        raise FailedPrecondition(
            "the cluster has no KubeRay operator",
            hint="set raylift:ray.operator.install to auto",
        )
    if operator.install is None and info.served:
        raise FailedPrecondition(
            "no KubeRay operator is visible, but one may manage these objects:"
            f" {', '.join(info.served)}",
            hint="set raylift:ray.operator.install to false to use that operator,"
            " or to true to install one",
        )
    if operator.install is not False and not info.owns_operator_namespace:
        raise FailedPrecondition(
            f"namespace '{operator.namespace}' already exists but has no KubeRay"
            " operator",
            hint="delete the namespace, or set raylift:ray.operator.namespace to"
            " another one",
        )


def _check_installed_operator(
    config: KubernetesConfig, installed: FoundOperator
) -> None:
    if config.ray.operator.install is True:
        raise FailedPrecondition(
            "a KubeRay operator is already installed in namespace"
            f" '{installed.namespace}'",
            hint="set raylift:ray.operator.install to auto",
        )
    version = installed.version
    if version and numbers(version) < numbers(_AUTH_OPTIONS):
        raise FailedPrecondition(
            f"KubeRay operator {version} does not support authOptions;"
            f" {_AUTH_OPTIONS} or newer is required"
        )


def _check_storage_classes(config: KubernetesConfig, info: ClusterInfo) -> None:
    storage, packages = config.fault_tolerance, config.package_volume
    if storage.gcs_storage == "rocksdb":
        instead = "set gcsStorage to none"
        _check_storage_class(
            "faultTolerance", storage.storage_class_name, info, instead
        )
    if packages:
        instead = "replace packageVolume with packages"
        _check_storage_class(
            "packageVolume", packages.storage_class_name, info, instead
        )


def _check_storage_class(
    section: str, name: str | None, info: ClusterInfo, instead: str
) -> None:
    key = f"raylift:{section}.storageClassName"
    if name and name not in info.storage_classes:
        raise InvalidInput.at(
            key,
            f"the cluster has no StorageClass '{name}'",
            hint=_one_of(info.storage_classes),
        )
    if not name and not info.default_storage_class:
        raise InvalidInput.at(
            key,
            "required: the cluster has no default StorageClass",
            hint=f"{_one_of(info.storage_classes)}, or {instead}",
        )


def _check_ingress_class(config: KubernetesConfig, info: ClusterInfo) -> None:
    name = config.ingress.ingress_class_name
    if name and name not in info.ingress_classes:
        raise InvalidInput.at(
            "raylift:ingress.ingressClassName",
            f"the cluster has no IngressClass '{name}'",
            hint=_one_of(info.ingress_classes),
        )


def _one_of(classes: Sequence[str]) -> str:
    """Return a hint that lists the existing classes."""
    return f"use one of: {', '.join(classes)}" if classes else "create one first"
