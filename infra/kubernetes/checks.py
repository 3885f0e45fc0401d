"""What is wrong with a stack file although every single value of it is right.

Each function yields a key, what is wrong with it, and what to do. A warning is for
what works, but hardly as it was meant.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from infra.config import Wrong, changed, check, differ
from infra.kubernetes.names import is_world, numbers, version_of_image
from infra.kubernetes.workers import GIB, workers_of
from raylift.wording import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infra.kubernetes.config import (
        FaultTolerance,
        KubernetesConfig,
        Operator,
        Ray,
        RayOnKubernetes,
        WorkerGroup,
    )
    from infra.kubernetes.workers import Worker
    from raylift.document import Place

_TOKEN_AUTH = (2, 52, 0)  # RAY_AUTH_MODE=token
_ROCKSDB = (2, 60, 0)  # ray-project/ray#63657, alpha; an older head refuses the name
_AUTH_OPTIONS = (1, 5, 1)  # KubeRay's authOptions
_GPU_TAG = re.compile(r"-(gpu|cu\d+)")
_SECRETS = re.compile(
    r"(hf_[A-Za-z0-9]{20,}|A(KIA|SIA)[A-Z0-9]{16}|sk-[A-Za-z0-9_-]{20,}"
    r"|gh[pousr]_[A-Za-z0-9]{30,}|xox[abp]-[A-Za-z0-9-]{10,}|-----BEGIN)"
)
_OF_STORAGE = {
    "rocksdb": ("storageClassName", "size"),
    "redis": ("redisAddress", "redisPassword"),
    "elasticache": ("nodeType", "replicas", "multiAz"),
}
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")


@check
def of_groups(config: KubernetesConfig) -> Iterator[Wrong]:
    """Node groups of a cluster that is there."""
    yield from differ(config.node_groups, ("nodeGroups",))
    for index, group in enumerate(config.node_groups):
        yield from of_sizes(("nodeGroups", index), group)


class Sized(Protocol):
    """What has from one number of nodes to another."""

    @property
    def min_size(self) -> int:
        """The smallest number of nodes."""

    @property
    def max_size(self) -> int:
        """The largest number of nodes."""


@check
def of_sizes(place: Place, group: Sized) -> Iterator[Wrong]:
    """`minSize` and `maxSize` of a node group."""
    if group.max_size < 1:
        hint = "to pause a group set minSize: 0 and let the autoscaler empty it"
        yield Wrong((*place, "maxSize"), f"must be 1 or more; {hint}")
    elif group.min_size > group.max_size:
        text = f"{group.min_size} is above maxSize {group.max_size}"
        yield Wrong((*place, "minSize"), text)


@check
def of_ray(config: RayOnKubernetes) -> Iterator[Wrong]:
    """The Ray cluster and its versions."""
    ray = config.ray
    yield from _of_versions(ray)
    yield from _of_gates(ray.operator)
    yield from _of_environment(("ray", "env"), ray)
    yield from _of_tag(ray)
    yield from differ(ray.worker_groups or (), ("ray", "workerGroups"))


@check
def of_workers(config: RayOnKubernetes) -> Iterator[Wrong]:
    """Whether the Ray workers fit their node groups."""
    groups, pools = config.ray.worker_groups, config.pools()
    if any(pool.max_size < max(1, pool.min_size) for pool in pools):
        return  # it is said of that group
    lost = list(_of_references(groups or [], [pool.name for pool in pools]))
    yield from lost
    if lost:
        return
    workers = workers_of(groups, pools)
    if groups is not None:
        for index, (group, worker) in enumerate(zip(groups, workers, strict=True)):
            yield from _of_worker(("ray", "workerGroups", index), group, worker)
    if any(worker.num_gpus for worker in workers):
        yield from _of_cuda(config.ray)


@check
def _of_versions(ray: Ray) -> Iterator[Wrong]:
    if numbers(ray.version) < _TOKEN_AUTH:
        text = f"{ray.version} has no token authentication; it came with Ray 2.52"
        yield Wrong(("ray", "version"), text)
    if numbers(ray.operator.version) < _AUTH_OPTIONS:
        text = f"{ray.operator.version} lacks authOptions; use 1.5.1 or newer"
        yield Wrong(("ray", "operator", "version"), text)


@check
def _of_gates(operator: Operator) -> Iterator[Wrong]:
    place, names = ("ray", "operator", "featureGates"), []
    if operator.feature_gates and operator.install is False:
        yield Wrong(place, "not used with install: false: that operator has its own")
    for index, gate in enumerate(operator.feature_gates):
        if gate.name in names:
            yield Wrong((*place, index, "name"), f"{gate.name} is given twice")
        names.append(gate.name)


@check
def of_policy(config: RayOnKubernetes) -> Iterator[Wrong]:
    """Who may connect."""
    if any(map(is_world, config.network_policy.api_server_cidrs or ())):
        text = (
            "would open Ray's dashboard to everybody; name the API server's addresses"
        )
        yield Wrong(("networkPolicy", "apiServerCidrs"), text)


@check
def _of_tag(ray: Ray) -> Iterator[Wrong]:
    if ray.image is None:
        return
    place = ("ray", "image")
    tagged = version_of_image(ray.image)
    if "@sha256:" not in ray.image and (not tagged or ray.image.endswith(":latest")):
        text = "a mutable tag: a restart may change the code; pin a version or a digest"
        yield Wrong(place, text, is_warning=True)
    if tagged and tagged != ray.version:
        text = (
            f"has tag {tagged}, but raylift:ray.version is {ray.version}:"
            " the autoscaler and authentication decide by version"
        )
        yield Wrong(place, text)


@check
def _of_cuda(ray: Ray) -> Iterator[Wrong]:
    tagged = ray.image is not None and version_of_image(ray.image)
    if tagged and not _GPU_TAG.search(ray.image or ""):
        text = "no CUDA in its tag, but workers have GPUs"
        yield Wrong(("ray", "image"), text, is_warning=True)


@check
def _of_environment(place: Place, ray: Ray) -> Iterator[Wrong]:
    for name, value in ray.env.items():
        key = f"raylift:ray.secretEnv.{name}"
        how = f"pulumi config set --secret --path '{key}'"
        if _SECRETS.search(value):
            yield Wrong((*place, name), f"looks like a secret in clear; use {how}")
        elif found := _PLACEHOLDER.search(value):
            text = f"{found[0]} is not expanded here; use {how}"
            yield Wrong((*place, name), text)


@check
def _of_references(groups: Sequence[WorkerGroup], names: list[str]) -> Iterator[Wrong]:
    for index, group in enumerate(groups):
        wanted = group.node_group or group.name
        if wanted not in names:
            key = "nodeGroup" if group.node_group else "name"
            have = f"there are {', '.join(names)}" if names else "there are none"
            text = f"no node group '{wanted}'{did_you_mean(wanted, names)}; {have}"
            yield Wrong(("ray", "workerGroups", index, key), text)


@check
def _of_worker(place: Place, group: WorkerGroup, worker: Worker) -> Iterator[Wrong]:
    pool = worker.pool
    if worker.min_replicas > worker.max_replicas:
        text = f"{worker.min_replicas} is above maxReplicas {worker.max_replicas}"
        yield Wrong((*place, "minReplicas"), text)
    if worker.num_gpus > pool.num_gpus:
        has = f"has {pool.num_gpus}" if pool.num_gpus else "has none"
        text = f"{worker.num_gpus}, but a node of '{pool.name}' {has}"
        yield Wrong((*place, "numGpus"), text)
        return
    if group.num_cpus and group.num_cpus > pool.num_cpus:
        text = f"a node of '{pool.name}' gives pods {pool.num_cpus:g}; leave it out"
        yield Wrong((*place, "numCpus"), text)
    if group.memory and group.memory > pool.memory:
        gives = f"{pool.memory // GIB}Gi"
        text = f"a node of '{pool.name}' gives pods {gives}; leave it out"
        yield Wrong((*place, "memory"), text)
    yield from _of_fit(place, worker)


@check
def _of_fit(place: Place, worker: Worker) -> Iterator[Wrong]:
    pool = worker.pool
    if worker.num_gpus and pool.num_gpus % worker.num_gpus:
        idle = pool.num_gpus % worker.num_gpus
        stay = "stays" if idle == 1 else "stay"
        text = f"a node has {pool.num_gpus} GPUs, so {idle} of them {stay} idle"
        yield Wrong((*place, "numGpus"), text, is_warning=True)
    nodes = -(-worker.max_replicas * worker.num_of_hosts // max(1, worker.share))
    if nodes > pool.max_size:
        each = f", each of {worker.num_of_hosts} pods," * (worker.num_of_hosts > 1)
        text = (
            f"{worker.max_replicas} replicas{each} need {nodes} nodes,"
            f" but '{pool.name}' grows to {pool.max_size}"
        )
        yield Wrong((*place, "maxReplicas"), text, is_warning=True)
    first = -(-worker.min_replicas * worker.num_of_hosts // max(1, worker.share))
    if first > pool.min_size:
        text = (
            f"needs {first} nodes at once, but '{pool.name}' starts with"
            f" {pool.min_size}: the cluster begins by scaling up"
        )
        yield Wrong((*place, "minReplicas"), text, is_warning=True)


@check
def of_namespace(config: RayOnKubernetes) -> Iterator[Wrong]:
    """The stack's namespace and the operator's."""
    name = config.kubernetes.namespace
    if name == config.ray.operator.namespace:
        text = f"'{name}' is the operator's; give Ray one of its own"
        yield Wrong(("kubernetes", "namespace"), text)


@check
def of_storage(config: RayOnKubernetes) -> Iterator[Wrong]:
    """Where the head keeps what must outlive it."""
    yield from _of_old_ray(config)
    yield from _of_redis(config.fault_tolerance)
    storage = config.fault_tolerance
    used = ("gcsStorage", *_OF_STORAGE.get(storage.gcs_storage, ()))
    for key in changed(storage):
        if key not in used:
            text = f"not used with gcsStorage: {storage.gcs_storage}"
            yield Wrong(("faultTolerance", key), text)


@check
def _of_old_ray(config: RayOnKubernetes) -> Iterator[Wrong]:
    storage, ray = config.fault_tolerance, config.ray
    if storage.gcs_storage == "rocksdb" and numbers(ray.version) < _ROCKSDB:
        text = (
            "rocksdb is new in Ray and was tried with 2.60; if the head of"
            f" {ray.version} does not start, use redis or none"
        )
        yield Wrong(("faultTolerance", "gcsStorage"), text, is_warning=True)


@check
def _of_redis(config: FaultTolerance) -> Iterator[Wrong]:
    place = ("faultTolerance",)
    if config.gcs_storage == "redis" and not config.redis_address:
        text = "required with gcsStorage: redis, such as redis://redis:6379"
        yield Wrong((*place, "redisAddress"), text)
    if "@" in (config.redis_address or ""):
        text = "has a password in clear; put it in a Secret and name that"
        yield Wrong((*place, "redisAddress"), f"{text} as redisPassword")


@check
def of_ingress(config: KubernetesConfig) -> Iterator[Wrong]:
    """The way in for clients."""
    ingress, place = config.ingress, ("ingress",)
    if ingress.type == "none":
        for key in changed(ingress):
            yield Wrong((*place, key), "not used without type: ingressClass")
        return
    yield from _of_callers(config)
    if not ingress.ingress_class_name:
        text = "required with type: ingressClass, such as nginx"
        yield Wrong((*place, "ingressClassName"), text)


@check
def of_observability(config: KubernetesConfig) -> Iterator[Wrong]:
    """Whether Prometheus may ask for what it is told of."""
    policy = config.network_policy
    is_asked = config.observability.prometheus is True
    if is_asked and policy.enabled and not policy.metrics_from:
        text = "needs networkPolicy.metricsFrom: Prometheus' namespace"
        yield Wrong(("observability", "prometheus"), f"{text}, such as [monitoring]")


@check
def _of_callers(config: KubernetesConfig) -> Iterator[Wrong]:
    if config.network_policy.enabled and not config.network_policy.serve_from:
        text = (
            "must name the ingress controller's namespace, such as [ingress-nginx],"
            " or nothing gets in"
        )
        yield Wrong(("networkPolicy", "serveFrom"), text)
