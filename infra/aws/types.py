"""Value types of target `aws`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from raylift.infra.aws.instance_types import closest, instance_types
from raylift.messages import kind, printable

_ZONE_ID = re.compile(r"[A-Z0-9]{1,32}")  # of Route 53
_ARN = re.compile(r"arn:[-a-z]+:[-a-z0-9]+:[-a-z0-9]*:[a-z0-9]*:[^\s]+")


def _minor_version(value: str) -> str:
    if not value.replace(".", "", 1).isdigit() or "." not in value:
        raise ValueError("must be a minor version in quotes, such as '1.35'")
    return value


def _arn(value: str) -> str:
    if not _ARN.fullmatch(value):
        text = "must be an ARN such as arn:aws:iam::123456789012:role/name"
        raise ValueError(f"{text}, not {kind(value)}")
    return value


def _zone_id(value: str) -> str:
    if not _ZONE_ID.fullmatch(value):
        raise ValueError(
            f"must be a hosted zone ID such as Z0123456789ABC, not {kind(value)}"
        )
    return value


def _unique(value: list[str]) -> list[str]:
    for item in value:
        if value.count(item) > 1:
            raise ValueError(f"must be unique; '{item}' is listed twice")
    return value


def _tags(value: dict[str, str]) -> dict[str, str]:
    for key in value:
        if key.lower().startswith(("aws:", "raylift:")):
            prefix = key.split(":")[0]
            raise ValueError(f"'{printable(key)}' has the reserved prefix {prefix}:")
    return value


def _instance_type(value: str) -> str:
    """Return a known instance type that has only whole GPUs, or none."""
    found = instance_types().get(value)
    if found is None:
        near = " or ".join(closest(value))
        meant = f"; did you mean {near}?" if near else ""
        raise ValueError(f"unknown instance type '{printable(value)}'{meant}")
    if not found.is_whole:
        near = next(t for t in closest(value.replace("f.", ".")) if "f." not in t)
        raise ValueError(
            f"'{value}' has only a fraction of an {found.gpu} GPU,"
            f" which is not supported; use {near}"
        )
    return value


MinorVersion = Annotated[str, AfterValidator(_minor_version)]
Arn = Annotated[str, AfterValidator(_arn)]
Arns = Annotated[list[Arn], AfterValidator(_unique)]
ZoneId = Annotated[str, AfterValidator(_zone_id)]
Tags = Annotated[dict[str, str], AfterValidator(_tags)]
InstanceTypeName = Annotated[str, AfterValidator(_instance_type)]
InstanceTypeNames = Annotated[
    list[InstanceTypeName], Field(min_length=1, max_length=20)
]
