"""Pure: what is wanted against what is there → what a deploy will do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from raylift.wording import dotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from raylift.document import Place


@dataclass(frozen=True, slots=True)
class Difference:
    """One key that changes; `before` or `after` is None where it is not there."""

    key: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one application."""

    application: str
    action: Literal["create", "change", "delete", "unchanged"]
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Changes by application, and the new document of each that is touched.

    A document of None takes the application away.
    """

    changes: tuple[Change, ...]
    documents: dict[str, dict[str, Any] | None]

    @property
    def nothing_to_do(self) -> bool:
        """Whether the cluster is already what is wanted."""
        return not self.documents


def plan(
    wanted: Mapping[str, dict[str, Any]],
    there: Mapping[str, dict[str, Any]],
    *,
    unsettled: frozenset[str] = frozenset(),
    prune: bool = False,
) -> Plan:
    """Compare application documents; applications not wanted stay, unless `prune`.

    `unsettled` are applications that have the wanted document perhaps, but do not
    serve it yet: they are submitted again, which Ray takes as no change.
    """
    changes: list[Change] = []
    documents: dict[str, dict[str, Any] | None] = {}
    for name, document in wanted.items():
        change = _compare(name, there.get(name), document)
        changes.append(change)
        if change.action == "unchanged" and name in unsettled:
            change = Change(name, "change")
        if change.action != "unchanged":
            documents[name] = document
    for name in sorted(there.keys() - wanted.keys()) if prune else ():
        changes.append(Change(name, "delete"))
        documents[name] = None
    return Plan(tuple(changes), documents)


def removal(names: list[str]) -> Plan:
    """The plan that takes these applications away."""
    return Plan(tuple(Change(name, "delete") for name in names), dict.fromkeys(names))


def same_document(deployed: dict[str, Any] | None, document: dict[str, Any]) -> bool:
    """Whether Ray has this very document; it may list deployments in another order."""
    return deployed is not None and not any(_differences(deployed, document, ()))


def _compare(name: str, before: dict[str, Any] | None, after: dict[str, Any]) -> Change:
    if before is None:
        return Change(name, "create")
    differences = tuple(_differences(before, after, ()))
    return Change(name, "change" if differences else "unchanged", differences)


def _differences(before: object, after: object, path: Place) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _differences(before.get(key), after.get(key), (*path, key))
    elif _named(before) and _named(after):
        old = {item["name"]: item for item in before}  # type: ignore[attr-defined]
        new = {item["name"]: item for item in after}  # type: ignore[attr-defined]
        yield from _differences(old, new, path)
    elif before != after:
        yield Difference(dotted(path), before, after)


def _named(value: object) -> bool:
    """Whether a list is one of deployments, whose order means nothing."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and "name" in item for item in value)
    )
