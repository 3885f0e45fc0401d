"""Cross-field checks shared by the targets `kubernetes` and `aws`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from raylift.infra.config.checks import Finding, changed_keys, check_unique_names
from raylift.infra.kubernetes import haproxy
from raylift.infra.kubernetes.validators import is_world, numbers, version_of_image
from raylift.redaction import has_token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raylift.infra.kubernetes.pod_config import Volume
    from raylift.infra.kubernetes.ray_config import (
        FaultTolerance,
        InCluster,
        NetworkPolicy,
        Ray,
    )
    from raylift.key_path import KeyPath

_TOKEN_AUTH = (2, 52, 0)  # RAY_AUTH_MODE=token
_ROCKSDB = (2, 60, 0)  # ray-project/ray#63657, alpha; older heads reject the name
_AUTH_OPTIONS = (1, 5, 1)  # KubeRay's authOptions
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")
_STORAGE_KEYS = {
    "rocksdb": ("storageClassName", "size"),
    "redis": ("redisAddress", "redisPassword"),
    "elasticache": ("nodeType", "replicas", "multiAz"),
}
_SMALLEST = 1 << 20  # a limit of 0Mi would be no limit
_VOLUME_SOURCES = {"configMap", "emptyDir", "persistentVolumeClaim", "secret"}


class Sized(Protocol):
    """A node group with a range of sizes."""

    @property
    def min_size(self) -> int:
        """The minimum number of nodes."""

    @property
    def max_size(self) -> int:
        """The maximum number of nodes."""


def check_sizes(path: KeyPath, group: Sized) -> Iterator[Finding]:
    """Check `minSize` and `maxSize` of a node group."""
    if group.max_size < 1:
        hint = "to pause a group, set minSize: 0 and let the autoscaler empty it"
        yield Finding((*path, "maxSize"), f"must be at least 1; {hint}")
    elif group.min_size > group.max_size:
        text = f"must be at most maxSize {group.max_size}, not {group.min_size}"
        yield Finding((*path, "minSize"), text)


def check_versions(ray: Ray) -> Iterator[Finding]:
    """Check that Ray and its operator support token authentication."""
    if numbers(ray.version) < _TOKEN_AUTH:
        text = "must be at least 2.52.0, the first version with token authentication"
        yield Finding(("ray", "version"), f"{text}, not {ray.version}")
    if numbers(ray.operator.version) < _AUTH_OPTIONS:
        text = "must be at least 1.5.1, the first version with authOptions"
        yield Finding(
            ("ray", "operator", "version"), f"{text}, not {ray.operator.version}"
        )


def check_feature_gates(ray: Ray) -> Iterator[Finding]:
    """Check the feature gates of the operator."""
    path, gates = ("ray", "operator", "featureGates"), ray.operator.feature_gates
    if gates and ray.operator.install is False:
        text = (
            "cannot be combined with install: false; set them on the existing operator"
        )
        yield Finding(path, text)
    yield from check_unique_names(gates, path)


def check_environment(ray: Ray) -> Iterator[Finding]:
    """Check environment variables for secrets and unexpanded placeholders."""
    for name, value in ray.env.items():
        key = f"raylift:ray.secretEnv.{name}"
        command = f"run `pulumi config set --secret --path '{key}'`"
        if has_token(value):
            text = f"looks like a secret in plain text; {command}"
            yield Finding(("ray", "env", name), text)
        elif found := _PLACEHOLDER.search(value):
            text = f"{found[0]} is not expanded in a stack file; {command}"
            yield Finding(("ray", "env", name), text)


def check_image(ray: Ray) -> Iterator[Finding]:
    """Check that the image is pinned and has the Ray version of the stack file."""
    if ray.image is None:
        return
    path, tagged = ("ray", "image"), version_of_image(ray.image)
    if "@sha256:" not in ray.image and (not tagged or ray.image.endswith(":latest")):
        text = "has a mutable tag, so a restart may change the code; use a version tag"
        yield Finding(path, f"{text} or digest", is_warning=True)
    if tagged and tagged != ray.version:
        text = (
            f"tag must match raylift:ray.version {ray.version}, not {tagged}:"
            " the autoscaler and authentication depend on the version"
        )
        yield Finding(path, text)


def check_worker_group_names(ray: Ray) -> Iterator[Finding]:
    """Check that the names of worker groups are unique."""
    yield from check_unique_names(ray.worker_groups or (), ("ray", "workerGroups"))


def check_environment_sources(ray: Ray) -> Iterator[Finding]:
    """Check that each source of environment variables is one object."""
    for index, source in enumerate(ray.env_from):
        if bool(source.config_map) == bool(source.secret):
            text = "requires exactly one of configMap, secret"
            yield Finding(("ray", "envFrom", index), text)


def check_volumes(ray: Ray) -> Iterator[Finding]:
    """Check the names, sources and mount paths of volumes."""
    path = ("ray", "volumes")
    yield from check_unique_names(ray.volumes, path)
    for index, volume in enumerate(ray.volumes):
        yield from _check_source((*path, index), volume)
        for other in ray.volumes[:index]:
            yield from _check_mounts((*path, index, "mountPath"), volume, other)


def _check_source(path: KeyPath, volume: Volume) -> Iterator[Finding]:
    if len(set(changed_keys(volume)) & _VOLUME_SOURCES) != 1:
        text = f"requires exactly one of {', '.join(sorted(_VOLUME_SOURCES))}"
        yield Finding(path, text)
    if volume.empty_dir is not None and volume.empty_dir < _SMALLEST:
        yield Finding((*path, "emptyDir"), "must be at least 1Mi")


def _check_mounts(path: KeyPath, volume: Volume, other: Volume) -> Iterator[Finding]:
    """Check that neither of two volumes hides the other or is in a read-only one.

    A container runtime cannot create a mount point in a read-only volume.
    """
    first, second = sorted((volume, other), key=lambda each: each.mount_path)
    is_fixed = first.read_only or first.config_map or first.secret
    if volume.mount_path == other.mount_path:
        yield Finding(path, f"must be unique; '{volume.mount_path}' is already used")
    elif is_fixed and second.mount_path.startswith(f"{first.mount_path}/"):
        text = f"'{second.mount_path}' is in volume '{first.name}', which is read-only"
        yield Finding(path, text)


def check_topology_spread(ray: Ray) -> Iterator[Finding]:
    """Check that the rules of a worker group are different, as Kubernetes requires."""
    for number, group in enumerate(ray.worker_groups or ()):
        seen: set[tuple[str, str]] = set()
        for index, rule in enumerate(group.topology_spread):
            key = (rule.topology_key, rule.when_unsatisfiable)
            if key in seen:
                place = ("ray", "workerGroups", number, "topologySpread", index)
                text = f"'{rule.topology_key}' already has a rule with {key[1]}"
                yield Finding((*place, "topologyKey"), text)
            seen.add(key)


def check_network_policy(network_policy: NetworkPolicy) -> Iterator[Finding]:
    """Check that the dashboard is not open to the internet."""
    if any(map(is_world, network_policy.api_server_cidrs or ())):
        text = (
            "must not include the whole internet, because it could then reach Ray's"
            " dashboard; list the addresses of the API server"
        )
        yield Finding(("networkPolicy", "apiServerCidrs"), text)


def check_namespace(kubernetes: InCluster, ray: Ray) -> Iterator[Finding]:
    """Check that the stack and the operator have different namespaces."""
    name = kubernetes.namespace
    if name == ray.operator.namespace:
        text = f"must not be '{name}', the namespace of the operator"
        yield Finding(("kubernetes", "namespace"), text)


def check_rocksdb(fault_tolerance: FaultTolerance, ray: Ray) -> Iterator[Finding]:
    """Check that the Ray version has RocksDB."""
    if fault_tolerance.gcs_storage == "rocksdb" and numbers(ray.version) < _ROCKSDB:
        text = (
            "rocksdb was tested only with Ray 2.60; if the head does not start"
            f" with Ray {ray.version}, use redis or none"
        )
        yield Finding(("faultTolerance", "gcsStorage"), text, is_warning=True)


def check_ingress_proxy(ray: Ray) -> Iterator[Finding]:
    """Check that the Ray version includes HAProxy, and that no variable is lost."""
    for name in ray.env.keys() & haproxy.fixed(ray).keys():
        text = "has no effect, because raylift sets this variable; see ray.ingress"
        yield Finding(("ray", "env", name), text, is_warning=True)
    if ray.ingress == "haproxy" and numbers(ray.version) < haproxy.SINCE:
        text = f"haproxy requires Ray 2.60 or newer, not {ray.version}; use python"
        yield Finding(("ray", "ingress"), text)


def check_redis(fault_tolerance: FaultTolerance) -> Iterator[Finding]:
    """Check the address of Redis."""
    path, address = ("faultTolerance", "redisAddress"), fault_tolerance.redis_address
    if fault_tolerance.gcs_storage == "redis" and not address:
        text = "required with gcsStorage: redis; for example, redis://redis:6379"
        yield Finding(path, text)
    if "@" in (address or ""):
        text = "must not contain a password; put it into a Secret and set redisPassword"
        yield Finding(path, text)


def check_storage(fault_tolerance: FaultTolerance) -> Iterator[Finding]:
    """Check that the storage type of the head's state supports the given keys."""
    storage = fault_tolerance.gcs_storage
    used = ("gcsStorage", *_STORAGE_KEYS.get(storage, ()))
    for key in changed_keys(fault_tolerance):
        if key not in used:
            text = f"cannot be combined with gcsStorage: {storage}"
            yield Finding(("faultTolerance", key), text)


RAY_CHECKS = (
    check_versions,
    check_feature_gates,
    check_environment,
    check_image,
    check_worker_group_names,
    check_environment_sources,
    check_volumes,
    check_topology_spread,
    check_network_policy,
    check_namespace,
    check_rocksdb,
    check_ingress_proxy,
    check_redis,
    check_storage,
)
