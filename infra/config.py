"""What the stack files of every target share: value types and StackConfig.

A key has the meaning that Ray, Kubernetes or AWS gives it (`numGpus`, `taints`,
`instanceTypes`), and no key does nothing: what a target does not use, it refuses.
Each target has its own model, in its own package.
"""

from __future__ import annotations

import contextlib
import functools
import re
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    NamedTuple,
    ParamSpec,
    Protocol,
    Self,
    cast,
)

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel

from raylift.model import NotNegative, Strict
from raylift.wording import kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pydantic import ModelWrapValidatorHandler, ValidationInfo

    from raylift.document import Place

P = ParamSpec("P")
Target = Literal["local", "kubernetes", "aws"]
TARGETS: tuple[Target, ...] = ("local", "kubernetes", "aws")

_NAME = re.compile(r"[a-z]([-a-z0-9]{0,18}[a-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9]([-.A-Za-z0-9]{0,251}[A-Za-z0-9])?")
LABEL = re.compile(r"[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_BUILT_IN = ("CPU", "GPU", "memory", "object_store_memory", "node:")
_SIZES = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_SIZE = re.compile(r"(\d+)(Ki|Mi|Gi|Ti)")
_DURATIONS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(\d{1,6})([smh])")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OURS = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


class NotKnown(Exception):
    """What was read is wrong in the file: nothing can be said that depends on it."""


class Section(Strict):
    """A mapping of the stack file."""

    model_config = ConfigDict(alias_generator=to_camel)

    @classmethod
    def right_part(cls, given: dict[str, object]) -> Self:
        """What is right of a mapping; reading the rest of it raises NotKnown."""
        return cls.model_validate(given, context=_RIGHT_PART)

    @model_validator(mode="wrap")
    @classmethod
    def _validate(
        cls,
        given: object,
        handler: ModelWrapValidatorHandler[Self],
        info: ValidationInfo,
    ) -> Self:
        try:
            return handler(given)
        except ValidationError as error:
            if info.context is not _RIGHT_PART or not isinstance(given, dict):
                raise
            return cls._without({str(e["loc"][0]) for e in error.errors()}, given)

    @classmethod
    def _without(cls, wrong: set[str], given: dict[str, object]) -> Self:
        right: dict[str, Any] = {}
        lost = []
        for name, field in cls.model_fields.items():
            key = field.alias or name
            if key in wrong:
                lost.append(name)
            elif key in given:
                adapter: TypeAdapter[object] = TypeAdapter(field.rebuild_annotation())
                right[key] = adapter.validate_python(
                    given[key], strict=True, context=_RIGHT_PART
                )
        made = cls.model_construct(_fields_set=None, **right)
        for name in lost:  # pydantic has filled in what is there by default
            made.__dict__.pop(name, None)
        return cast("Self", made)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Called for what is not there: a wrong value, or no field at all."""
            if name in type(self).model_fields:
                raise NotKnown(name)
            return super().__getattr__(name)


_RIGHT_PART = {"wrong values": "left out"}


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(
            "must be lowercase letters, digits and '-', start with a letter,"
            " at most 20 characters"
        )
    return value


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(
            f"must be a host's name or IPv4 address alone, not {kind(value)}"
        )
    return value


def _size(value: object) -> object:
    """Bytes of a Kubernetes quantity such as 16Gi."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"must be a size such as 512Mi or 16Gi, not {kind(value)}")
    return int(match[1]) * _SIZES[match[2]]


def _seconds(value: object) -> object:
    """Seconds of a duration such as 10m."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        raise ValueError(f"must be a time such as 60s, 10m or 1h, not {kind(value)}")
    return int(match[1]) * _DURATIONS[match[2]]


def _labels(value: dict[str, str]) -> dict[str, str]:
    for key, text in value.items():
        name = key.rsplit("/", 1)[-1]
        if not LABEL.fullmatch(name) or (text and not LABEL.fullmatch(text)):
            raise ValueError(
                f"{key}: {text}: Ray's rule for labels: letters, digits, '-', '_', '.',"
                " at most 63 characters"
            )
        if key.startswith(("ray.io/", "raylift.io/")):
            owner = key.split("/")[0]
            raise ValueError(f"{key}: labels under {owner}/ are not for you to set")
    return value


def _resources(value: dict[str, float]) -> dict[str, float]:
    for name in value:
        if name.startswith(_BUILT_IN):
            raise ValueError(f"{name}: a resource of Ray's own; use numCpus or numGpus")
    return value


def variables(value: dict[str, str]) -> dict[str, str]:
    """Environment variables by names that may be set."""
    for name in value:
        if name in _OURS:
            raise ValueError(f"{name}: raylift sets it; the token is always on")
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name}: no name of an environment variable")
    return value


# How a value is written, for an editor's schema; the validators above decide.
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
Defaults = Literal["raylift", "ray"]


class ServeDefaults(Section):
    """Whether raylift's safe defaults are added to what is deployed."""

    defaults: Defaults = "raylift"


class Wrong(NamedTuple):
    """What does not fit: the key, what is wrong, and whether it works all the same."""

    path: Place
    text: str
    is_warning: bool = False


def check(function: Callable[P, Iterator[Wrong]]) -> Callable[P, Iterator[Wrong]]:
    """A check that ends where it comes to a value that is wrong by itself."""

    @functools.wraps(function)
    def known(*args: P.args, **kwargs: P.kwargs) -> Iterator[Wrong]:
        try:
            yield from function(*args, **kwargs)
        except NotKnown:
            return

    return known


class StackConfig(Section):
    """One place to serve from: what every target's model extends."""

    target: Target
    serve: ServeDefaults = ServeDefaults()

    def checks(self) -> Iterator[Wrong]:
        """What is wrong although every single value is right."""
        raise NotImplementedError

    def resolved(self) -> dict[str, Any]:
        """The whole configuration as it would stand in a file, defaults included."""
        values = self.model_dump(by_alias=True)
        return {f"raylift:{key}": value for key, value in values.items()}


def changed(section: Section) -> Iterator[str]:
    """Names of what is not as it is by default, as one writes them."""
    for name, field in type(section).model_fields.items():
        default = field.get_default(call_default_factory=True)
        with contextlib.suppress(NotKnown):
            if getattr(section, name) != default:
                yield field.alias or name


class Named(Protocol):
    """What has a name."""

    @property
    def name(self) -> str:
        """Its name among its like."""


def differ(groups: Iterable[Named], path: Place) -> Iterator[Wrong]:
    """Each name that a list has a second time."""
    seen: set[str] = set()
    for index, group in enumerate(groups):
        with contextlib.suppress(NotKnown):
            if group.name in seen:
                text = f"two groups named '{group.name}'"
                yield Wrong((*path, index, "name"), text)
            seen.add(group.name)
