"""Value types of stack files: their validators and JSON Schemas."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from raylift.messages import kind, printable
from raylift.strict_model import NotNegative

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,18}[a-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9]([-.A-Za-z0-9]{0,251}[A-Za-z0-9])?")
LABEL = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_BUILT_IN_RESOURCES = ("CPU", "GPU", "memory", "object_store_memory", "node:")
SIZES = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_SIZE = re.compile(r"(\d+)(Ki|Mi|Gi|Ti)")
_DURATIONS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(\d{1,6})([smh])")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_AUTHENTICATION = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            "must start with a letter, contain only lowercase letters, digits and '-',"
            " and have at most 20 characters"
        )
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(
            "must be a host name or an IPv4 address, without a scheme or a port,"
            f" not {kind(value)}"
        )
    return value


def _size(value: object) -> object:
    """Return the bytes of a Kubernetes quantity such as 16Gi."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"must be a size such as 512Mi or 16Gi, not {kind(value)}")
    return int(match[1]) * SIZES[match[2]]


def _seconds(value: object) -> object:
    """Return the seconds of a duration such as 10m."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(
            f"must be a duration such as 60s, 10m or 1h, not {kind(value)}"
        )
    return int(match[1]) * _DURATIONS[match[2]]


def _labels(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        name = key.rsplit("/", 1)[-1]
        if not LABEL.fullmatch(name) or (text and not LABEL.fullmatch(text)):
            shown = printable(f"{key}: {text}", limit=140)
            raise ValueError(
                f"'{shown}' must contain only letters, digits, '-', '_' and '.',"
                " and have at most 63 characters in the key and in the value,"
                " as Ray requires for labels"
            )
        if key.startswith(("ray.io/", "raylift.io/")):
            owner = key.split("/")[0]
            raise ValueError(f"'{key}' has the reserved prefix {owner}/")
    return value


def _resources(value: dict[str, float]) -> dict[str, float]:
    for name in value:
        if name.startswith(_BUILT_IN_RESOURCES):
            raise ValueError(
                f"'{name}' is a built-in resource of Ray; use numCpus or numGpus"
            )
    return value


def variables(value: dict[str, str]) -> dict[str, str]:
    """Return environment variables whose names are valid and not reserved."""
    for name in value:
        if name in _AUTHENTICATION:
            raise ValueError(
                f"'{name}' is set by raylift; token authentication is always on"
            )
        if not _VARIABLE.fullmatch(name):
            shown = printable(name)
            raise ValueError(f"'{shown}' is not a valid environment variable name")
    return value


# For the JSON Schema only; the validators above are authoritative.
_NAME_TEXT = WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})
_SIZE_TEXT = {"type": "string", "pattern": f"^{_SIZE.pattern}$"}
_DURATION_TEXT = {"type": "string", "pattern": f"^{_DURATION.pattern}$"}
_NUMBER = {"type": "integer", "minimum": 0}

Name = Annotated[str, AfterValidator(_name), _NAME_TEXT]
Host = Annotated[str, AfterValidator(_host)]
Bytes = Annotated[
    int,
    BeforeValidator(_size),
    Field(ge=0),
    WithJsonSchema({"anyOf": [_SIZE_TEXT, _NUMBER]}),
]
Size = Annotated[
    int | None,
    BeforeValidator(_size),
    WithJsonSchema({"anyOf": [_SIZE_TEXT, _NUMBER, {"type": "null"}]}),
]
Seconds = Annotated[
    int,
    BeforeValidator(_seconds),
    Field(ge=0),
    WithJsonSchema({"anyOf": [_DURATION_TEXT, _NUMBER]}),
]
Labels = Annotated[dict[str, str], AfterValidator(_labels)]
Resources = Annotated[dict[str, NotNegative], AfterValidator(_resources)]
Env = Annotated[dict[str, str], AfterValidator(variables)]
PortNumber = Annotated[int, Field(ge=1024, le=65535)]
