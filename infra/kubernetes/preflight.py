"""Pure: what a cluster lacks for a stack, before anything is made in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.kubernetes.names import numbers
from raylift.errors import CannotWork, Denied, InputFailed

if TYPE_CHECKING:
    from infra.kubernetes.config import KubernetesConfig
    from infra.kubernetes.facts import Facts

_OLDEST = (1, 28)
_AUTH_OPTIONS = "1.5.1"  # KubeRay's authOptions


def refuse_what_lacks(config: KubernetesConfig, facts: Facts) -> None:
    """Raise for the first thing that the cluster lacks.

    Raises:
        CannotWork: a version, GPUs or an operator.
        Denied: the credentials may not make what is needed.
        InputFailed: a class that the stack file names.
    """
    if facts.version < _OLDEST:
        has = ".".join(map(str, facts.version))
        raise CannotWork(f"the cluster runs Kubernetes {has}; 1.28 or newer is needed")
    if facts.denied:
        raise Denied(
            f"these credentials may not create {', '.join(facts.denied)}",
            hint="where KubeRay is missing, an admin can install its chart once",
        )
    _operator(config, facts)
    _classes(config, facts)
    if config.observability.prometheus is True and not facts.has_prometheus:
        raise CannotWork(
            "the cluster has no Prometheus operator",
            hint="set raylift:observability.prometheus: auto",
        )
    if any(pool.num_gpus for pool in config.pools()) and not facts.gpus:
        raise CannotWork(
            "no node of the cluster offers nvidia.com/gpu",
            hint="the NVIDIA device plugin makes GPUs known to Kubernetes",
        )


def _operator(config: KubernetesConfig, facts: Facts) -> None:
    wanted, found = config.ray.operator, facts.operator
    if found is None:
        # One that a provider manages may be out of sight.
        if wanted.install is False and not facts.has_crds:
            raise CannotWork(
                "the cluster has no KubeRay operator",
                hint="set raylift:ray.operator.install: auto",
            )
        if wanted.install is None and facts.served:
            raise CannotWork(
                "an operator that is out of sight may run what is there:"
                f" {', '.join(facts.served)}",
                hint="set raylift:ray.operator.install: false to use it, or true",
            )
        if wanted.install is not False and not facts.owns_operator_namespace:
            raise CannotWork(
                f"namespace '{wanted.namespace}' is there already, without an operator",
                hint="delete it, or set raylift:ray.operator.namespace to another",
            )
        return
    if wanted.install is True:
        raise CannotWork(
            f"a KubeRay operator is there already, in namespace {found.namespace}",
            hint="set raylift:ray.operator.install: auto",
        )
    if found.version and numbers(found.version) < numbers(_AUTH_OPTIONS):
        raise CannotWork(
            f"the KubeRay operator is {found.version} and lacks authOptions;"
            f" {_AUTH_OPTIONS} or newer is needed"
        )


def _classes(config: KubernetesConfig, facts: Facts) -> None:
    storage = config.fault_tolerance
    if storage.gcs_storage == "rocksdb":
        named = storage.storage_class_name
        if named and named not in facts.storage_classes:
            raise InputFailed.at(
                "raylift:faultTolerance.storageClassName",
                f"the cluster has no '{named}'",
                hint=f"it has: {', '.join(facts.storage_classes) or 'none'}",
            )
        if not named and not facts.default_storage_class:
            raise InputFailed.at(
                "raylift:faultTolerance.storageClassName",
                "required: the cluster has no default StorageClass",
                hint=f"it has: {', '.join(facts.storage_classes) or 'none'};"
                " or set gcsStorage: none",
            )
    ingress = config.ingress.ingress_class_name
    if ingress and ingress not in facts.ingress_classes:
        raise InputFailed.at(
            "raylift:ingress.ingressClassName",
            f"the cluster has no '{ingress}'",
            hint=f"it has: {', '.join(facts.ingress_classes) or 'none'}",
        )
