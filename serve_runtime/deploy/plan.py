"""The plan of a deploy: desired compared with running documents; pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from raylift.key_path import dotted
from raylift.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from raylift.key_path import KeyPath


@dataclass(frozen=True, slots=True)
class Difference:
    """A key that changes; `before` or `after` is None if the key is not set.

    Secrets are redacted.
    """

    key: str
    before: object
    after: object


@dataclass(frozen=True, slots=True)
class ApplicationChange:
    """The action on one application."""

    application: str
    action: Literal["create", "change", "delete", "unchanged"]
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Changes by application, and the new document of each application to submit.

    A document of None deletes the application.
    """

    changes: tuple[ApplicationChange, ...]
    documents: dict[str, dict[str, Any] | None]

    @property
    def nothing_to_do(self) -> bool:
        """Whether the deploy is a no-op."""
        return not self.documents


def plan(
    desired: Mapping[str, dict[str, Any]],
    running: Mapping[str, dict[str, Any]],
    *,
    unsettled: frozenset[str] = frozenset(),
    prune: bool = False,
) -> Plan:
    """Compare application documents.

    Args:
        desired: The documents that should run.
        running: The documents that run.
        unsettled: Applications that may have the desired document but do not serve it.
            They are submitted again, which Ray treats as unchanged.
        prune: Delete running applications that are not desired.
    """
    changes: list[ApplicationChange] = []
    documents: dict[str, dict[str, Any] | None] = {}
    for name, document in desired.items():
        change = _compare(name, running.get(name), document)
        changes.append(change)
        if change.action != "unchanged" or name in unsettled:
            documents[name] = document
    for name in sorted(running.keys() - desired.keys()) if prune else ():
        changes.append(ApplicationChange(name, "delete"))
        documents[name] = None
    return Plan(tuple(changes), documents)


def removal(names: list[str]) -> Plan:
    """Return the plan that deletes these applications."""
    return Plan(
        tuple(ApplicationChange(name, "delete") for name in names), dict.fromkeys(names)
    )


def same_document(deployed: dict[str, Any] | None, document: dict[str, Any]) -> bool:
    """Return whether two documents are equal, ignoring the order of deployments."""
    return deployed is not None and not any(_differences(deployed, document, ()))


def _compare(
    name: str, before: dict[str, Any] | None, after: dict[str, Any]
) -> ApplicationChange:
    if before is None:
        return ApplicationChange(name, "create")
    differences = tuple(_differences(before, after, ()))
    return ApplicationChange(
        name, "change" if differences else "unchanged", differences
    )


def _differences(before: object, after: object, path: KeyPath) -> Iterator[Difference]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _differences(before.get(key), after.get(key), (*path, key))
    elif _is_named_list(before) and _is_named_list(after):
        old = {item["name"]: item for item in before}  # type: ignore[attr-defined]
        new = {item["name"]: item for item in after}  # type: ignore[attr-defined]
        yield from _differences(old, new, path)
    elif before != after:
        yield Difference(dotted(path), redacted(before, path), redacted(after, path))


def _is_named_list(value: object) -> bool:
    """Return whether a value is a list of deployments, whose order is irrelevant."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and "name" in item for item in value)
    )
