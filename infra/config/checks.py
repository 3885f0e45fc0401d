"""Findings of cross-field checks of stack files, and the selection of checks to run.

A check is a function whose parameters name the top-level sections that it reads. It
runs if all of them are valid. The checks module of each target lists them in `CHECKS`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raylift.infra.config.base import Section
    from raylift.key_path import KeyPath


class Finding(NamedTuple):
    """A conflict between valid values: a key, and the rule that it violates.

    A warning is about a configuration that works, but probably not as intended.
    """

    path: KeyPath
    text: str
    is_warning: bool = False


Check = Callable[..., Iterator[Finding]]


def run_checks(
    checks: Iterable[Check], sections: Mapping[str, object]
) -> Iterator[Finding]:
    """Run each check that reads only `sections`, which maps names to valid sections."""
    for check in checks:
        names = inspect.signature(check).parameters
        if names.keys() <= sections.keys():
            yield from check(**{name: sections[name] for name in names})


def changed_keys(section: Section) -> Iterator[str]:
    """Yield the keys of a section whose values differ from their defaults."""
    for name, field in type(section).model_fields.items():
        if getattr(section, name) != field.get_default(call_default_factory=True):
            yield field.alias or name


class Named(Protocol):
    """An item of a list whose items have unique names."""

    @property
    def name(self) -> str:
        """The item's name."""


def check_unique_names(items: Iterable[Named], path: KeyPath) -> Iterator[Finding]:
    """Report each name that a list contains more than once."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        if item.name in seen:
            text = f"must be unique; '{item.name}' is already used"
            yield Finding((*path, index, "name"), text)
        seen.add(item.name)
