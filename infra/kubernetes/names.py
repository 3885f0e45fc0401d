"""Rules for text that Kubernetes, Ray or AWS would refuse much later."""

from __future__ import annotations

import ipaddress
import re

from infra.config import LABEL
from raylift.wording import kind, printable

_DOMAIN = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
)
_RULE = "must be letters, digits, '-', '_' and '.', at most 63 characters"
_KEY_RULE = f"{_RULE}, after a domain and a slash if there is one"
_LARGEST = 8  # 10.0.0.0/8 is the largest network that is one's own
_GATE = re.compile(r"[A-Z][A-Za-z0-9]*")
_BUCKET = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w!.*'()/-]*)?")
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_TAG = re.compile(r":(?P<version>\d+\.\d+\.\d+)[-.\w]*(@sha256:[0-9a-f]{64})?$")


def cidr(value: str) -> str:
    """An IPv4 network in CIDR notation, its host bits 0."""
    try:
        return str(ipaddress.IPv4Network(value))
    except ValueError:
        raise ValueError(
            f"must be a network such as 10.0.0.0/16, not {kind(value)}"
        ) from None


def is_world(network: str) -> bool:
    """Whether a network is the whole internet, or so much of it that it makes no odds.

    Two halves of it, 0.0.0.0/1 and 128.0.0.0/1, must not pass for something smaller.
    """
    return ipaddress.IPv4Network(network).prefixlen < _LARGEST


def bucket(value: str) -> str:
    """A bucket of S3, or of what answers as S3 does, and perhaps a prefix in it."""
    if not _BUCKET.fullmatch(value):
        raise ValueError(
            f"must be s3://BUCKET or s3://BUCKET/PREFIX, not {kind(value)}"
        )
    return value.rstrip("/")


def version(value: str) -> str:
    """Three numbers."""
    if not _VERSION.fullmatch(value):
        raise ValueError(f"must be a version such as 2.60.0, not {kind(value)}")
    return value


def object_name(value: str) -> str:
    """A name of an object that somebody else has made."""
    if not _DOMAIN.fullmatch(value):
        raise ValueError(
            "must be lowercase letters, digits, '-' and '.', at most 253 characters"
        )
    return value


def label_key(value: str) -> str:
    """A key of a label or taint: a name, and before a slash a domain."""
    domain, slash, name = value.rpartition("/")
    if not LABEL.fullmatch(name) or (slash and not _DOMAIN.fullmatch(domain)):
        raise ValueError(f"{printable(value)}: {_KEY_RULE}")
    return value


def label_value(value: str) -> str:
    """A value of a label or taint."""
    if value and not LABEL.fullmatch(value):
        raise ValueError(f"{printable(value)}: {_RULE}")
    return value


def feature_gate(value: str) -> str:
    """A name as Kubernetes' components have for what can be switched on and off."""
    if not _GATE.fullmatch(value):
        raise ValueError(f"must be a name such as RayCronJob, not {kind(value)}")
    return value


def numbers(value: str) -> tuple[int, ...]:
    """`(2, 60, 0)` of 2.60.0, to compare by."""
    return tuple(int(part) for part in value.split("."))


def version_of_image(image: str) -> str | None:
    """The Ray version in an image's tag, where it has one."""
    match = _TAG.search(image)
    return match["version"] if match else None
