"""Validation of text that Kubernetes, Ray or AWS would reject much later."""

from __future__ import annotations

import ipaddress
import re

from raylift.infra.config.types import LABEL, SIZES
from raylift.infra.kubernetes.gpu import GPU_RESOURCE
from raylift.messages import kind, printable

_DOMAIN = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)
_LABEL_RULE = (
    "must contain only letters, digits, '-', '_' and '.',"
    " and have at most 63 characters"
)
_KEY_RULE = (
    f"{_LABEL_RULE}, not counting an optional domain prefix such as example.com/"
)
_LARGEST_PREFIX = 8  # 10.0.0.0/8 is the largest private network
_EVERYBODY = (
    "system:anonymous",
    "system:authenticated",
    "system:serviceaccounts",
    "system:unauthenticated",
)
_GATE = re.compile(r"[A-Z][A-Za-z0-9]*")
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w!.*'()/-]*)?")
_REGISTRY = re.compile(r"[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)*")
_MOUNT_PATH = re.compile(r"(/[^/:\s]+)+")
# Paths that Ray, KubeRay or raylift use in a pod.
_USED_PATHS = (
    *("/bin", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr"),
    "/dev/shm",  # noqa: S108 a path in a pod
    "/home/ray/anaconda3",
    "/mnt/gcs",
    "/run/raylift",
    "/tmp/ray",  # noqa: S108 a path in a pod
    "/var/run/secrets",
)
_OTHER_KEYS = {"cpu": "numCpus", "memory": "memory", GPU_RESOURCE: "numGpus"}
# Resources whose number KubeRay reports to Ray as GPUs
# (ray-operator/controllers/ray/utils/resources.go).
_GPU_LIKE = re.compile(r"gpu$|^nvidia\.com/mig-")
_HUGE_PAGES = re.compile(r"hugepages-([1-9]\d*)(Ki|Mi|Gi)")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_TAG = re.compile(r":(?P<version>\d+\.\d+\.\d+)[-.\w]*(@sha256:[0-9a-f]{64})?$")


def cidr(value: str) -> str:
    """Return an IPv4 network in CIDR notation whose host bits are 0."""
    try:
        return str(ipaddress.IPv4Network(value))
    except ValueError:
        raise ValueError(
            "must be an IPv4 CIDR block without host bits, such as 10.0.0.0/16,"
            f" not {kind(value)}"
        ) from None


def is_world(network: str) -> bool:
    """Return whether a network is the whole internet, or a large part of it.

    Each half, 0.0.0.0/1 and 128.0.0.0/1, counts as the whole internet.
    """
    return ipaddress.IPv4Network(network).prefixlen < _LARGEST_PREFIX


def bucket(value: str) -> str:
    """Return a bucket of S3 or of an S3-compatible store, with an optional prefix."""
    if not _BUCKET.fullmatch(value):
        raise ValueError(
            f"must be s3://BUCKET or s3://BUCKET/PREFIX, not {kind(value)}"
        )
    return value.rstrip("/")


def version(value: str) -> str:
    """Return a version of three numbers."""
    if not _VERSION.fullmatch(value):
        raise ValueError(f"must be a version such as 2.60.0, not {kind(value)}")
    return value


def object_name(value: str) -> str:
    """Return the name of an existing Kubernetes object."""
    if not _DOMAIN.fullmatch(value):
        raise ValueError(
            "must consist of lowercase letters, digits, '-' and '.',"
            " and have at most 253 characters"
        )
    return value


def subject_name(value: str) -> str:
    """Return the name of a user, a group or a service account; reject everybody."""
    if not value.strip():
        raise ValueError("must not be empty")
    if value in _EVERYBODY:
        raise ValueError(f"must not be {value}, which includes unknown subjects")
    return value


def label_key(value: str) -> str:
    """Return the key of a label or taint: a name, optionally after a domain and `/`."""
    domain, slash, name = value.rpartition("/")
    if not LABEL.fullmatch(name) or (slash and not _DOMAIN.fullmatch(domain)):
        raise ValueError(f"'{printable(value)}' {_KEY_RULE}")
    return value


def label_value(value: str) -> str:
    """Return the value of a label or taint."""
    if value and not LABEL.fullmatch(value):
        raise ValueError(f"'{printable(value)}' {_LABEL_RULE}")
    return value


def registry(value: str) -> str:
    """Return a registry, with an optional path."""
    if not _REGISTRY.fullmatch(value):
        raise ValueError(
            "must be a registry such as registry.example.com/mirror, without a scheme"
            f" or a tag, not {kind(value)}"
        )
    return value


def mount_path(value: str) -> str:
    """Return the mount path of a volume, which hides no directory that Ray uses."""
    if not _MOUNT_PATH.fullmatch(value) or {".", ".."} & set(value.split("/")):
        raise ValueError(
            "must be an absolute path such as /models, without a trailing slash, not"
            f" {kind(value)}"
        )
    for used in _USED_PATHS:
        if used == value or used.startswith(f"{value}/"):
            raise ValueError(f"must not hide {used}, which Ray's pods use")
    return value


def extra_resources(value: dict[str, int]) -> dict[str, int]:
    """Return the resources of a container that no other key sets.

    Kubernetes would reject any other name or amount when it creates a pod.
    """
    if problems := [p for name, n in value.items() if (p := _problem_of(name, n))]:
        raise ValueError("; ".join(problems))
    return value


def _problem_of(name: str, amount: int) -> str:
    if name in _OTHER_KEYS:
        return f"'{name}' is set by {_OTHER_KEYS[name]}"
    if _GPU_LIKE.search(name):
        return f"'{name}' would count as a GPU; only {GPU_RESOURCE} is supported"
    if pages := _HUGE_PAGES.fullmatch(name):
        size = int(pages[1]) * SIZES[pages[2]]
        multiple = amount and amount % size == 0
        return "" if multiple else f"'{name}' must be a multiple of the page size"
    domain = name.rpartition("/")[0]
    if name == "ephemeral-storage" or domain.partition(".")[0] not in ("", "requests"):
        return ""
    return (
        f"'{printable(name)}' must be ephemeral-storage, hugepages-2Mi, or a name with"
        " a domain, such as rdma/hca"
    )


def feature_gate(value: str) -> str:
    """Return the name of a feature gate, as Kubernetes components write it."""
    if not _GATE.fullmatch(value):
        raise ValueError(f"must be a name such as RayCronJob, not {kind(value)}")
    return value


def numbers(value: str) -> tuple[int, ...]:
    """Return a version as comparable numbers, such as `(2, 60, 0)` for 2.60.0."""
    return tuple(int(part) for part in value.split("."))


def version_of_image(image: str) -> str | None:
    """Return the Ray version in the tag of an image, if it has one."""
    match = _TAG.search(image)
    return match["version"] if match else None
