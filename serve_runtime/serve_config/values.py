"""Values for one environment, which replace those of a Serve config.

A values file is a partial Serve config. Mappings are merged, applications and
deployments are matched by name, and every other value replaces the one in the config.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raylift.errors import Problem
from raylift.key_path import dotted
from raylift.messages import did_you_mean, kind
from raylift.strict_model import refuse
from raylift.yaml_document import Document

if TYPE_CHECKING:
    from raylift.key_path import KeyPath

_DEPLOYMENTS = ("applications", "deployments")


@dataclass(frozen=True, slots=True)
class _Merged(Document):
    """A config with values; `replaced` maps their paths in it to those in `values`."""

    values: Document
    replaced: dict[KeyPath, KeyPath]

    def location(self, path: KeyPath) -> str:
        for length in range(len(path), -1, -1):
            source = self.replaced.get(path[:length])
            if source is not None:
                return self.values.location((*source, *path[length:]))
        return Document.location(self, path)


def with_values(config: Document, values: Document) -> Document:
    """Return a Serve config with the values of another file.

    The location of each value is the one in its own file.

    Raises:
        InvalidInput: The values are not a mapping, or name an application that the
            config does not have.
    """
    if not isinstance(values.value, dict):
        text = f"must be a mapping, not {kind(values.value)}"
        refuse([Problem(values.location(()), text)])
    if not isinstance(config.value, dict):
        return config  # its check reports the problem
    merge = _Merge(config, values)
    value = merge.merged(config.value, values.value, (), ())
    refuse(merge.problems)
    return _Merged(config.name, value, config.lines, values, merge.replaced)


@dataclass(slots=True)
class _Merge:
    """A merge; `at` is a path in the config, and `source` the one in the values."""

    config: Document
    values: Document
    replaced: dict[KeyPath, KeyPath] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def merged(self, old: Any, new: Any, at: KeyPath, source: KeyPath) -> Any:  # noqa: ANN401 YAML values
        if isinstance(old, dict) and isinstance(new, dict):
            return old | {
                key: self.merged(old.get(key), value, (*at, key), (*source, key))
                for key, value in new.items()
            }
        if at == ("applications",) and not isinstance(old, list):
            return old  # values add no applications
        if _has_names(at) and isinstance(old, list) and isinstance(new, list):
            return self._by_name(old, new, at, source)
        self.replaced[at] = source
        return new

    def _by_name(
        self, old: list[Any], new: list[Any], at: KeyPath, source: KeyPath
    ) -> list[Any]:
        items = list(old)
        indexes = {_name(item, at): index for index, item in enumerate(old)}
        names = [_name(item, at) for item in new]
        for number, item in enumerate(new):
            name, path = names[number], (*source, number)
            if name and name in names[:number]:
                self._report(path, f"duplicate name '{name}'")
            elif name and name in indexes:
                index = indexes[name]
                items[index] = self.merged(items[index], item, (*at, index), path)
            elif name and at == ("applications",):
                self._report_unknown(name, indexes, path)
            else:
                indexes[name] = len(items)
                self.replaced[(*at, len(items))] = path
                items.append(item)
        return items

    def _report_unknown(
        self, name: str, known: dict[str, int], source: KeyPath
    ) -> None:
        text = f"no application '{name}' in {self.config.name}"
        self._report(source, text + did_you_mean(name, known))

    def _report(self, source: KeyPath, text: str) -> None:
        path = (*source, "name")
        location = self.values.location(path)
        self.problems.append(Problem(location, f"{dotted(path)}: {text}"))


def _has_names(at: KeyPath) -> bool:
    """Return whether a path is that of the applications, or of their deployments."""
    return at == ("applications",) or at[:1] + at[2:] == _DEPLOYMENTS


def _name(item: object, at: KeyPath) -> str:
    """Return the name of an item, "" if it has none."""
    if not isinstance(item, dict):
        return ""
    name = item.get("name", "default" if at == ("applications",) else "")
    return name if isinstance(name, str) else ""
