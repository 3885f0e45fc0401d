"""Parser of YAML 1.2 that returns plain values with their line numbers.

It reads both stack files and Serve configs, with the same rules: `no` is a string, a
duplicate key is an error, and the expansion of anchors is limited.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from raylift.errors import InvalidInput, Problem
from raylift.messages import os_reason, printable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ruamel.yaml.nodes import Node

    from raylift.key_path import KeyPath

MAX_BYTES = 5_000_000
MAX_VALUES = 100_000
MAX_DEPTH = 64
_SEPARATOR = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_TAG = "tag:yaml.org,2002:"
_KINDS = {"map": MappingNode, "seq": SequenceNode} | dict.fromkeys(
    ("null", "bool", "int", "float", "str", "timestamp", "value", "merge"), ScalarNode
)


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a file and their locations.

    `name` is the file's name in messages. `lines` maps the path of a value, such as
    `("applications", 0, "name")`, to its line, counted from 1.
    """

    name: str
    value: Any
    lines: dict[KeyPath, int] = field(repr=False)

    def location(self, path: KeyPath) -> str:
        """Return the `file:line` of a value or of its nearest parent with a line."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return f"{self.name}:{self.lines[path[:length]]}"
        return self.name


def read(path: Path, *, name: str) -> Document:
    """Read and parse one file.

    Raises:
        InvalidInput: The file cannot be read or is not one YAML document in UTF-8.
    """
    return parse(read_text(path, name=name), name=name)


def read_text(path: Path, *, name: str) -> str:
    """Read one file.

    Raises:
        InvalidInput: The file cannot be read, is too large or is not UTF-8.
    """
    try:
        with path.open("rb") as stream:  # pipes and devices have no size to check first
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = os_reason(error)
        raise InvalidInput.at(name, f"cannot be read: {reason}") from None
    except ValueError:
        raise InvalidInput.at(name, "cannot be read: not a valid file name") from None
    if len(data) > MAX_BYTES:
        raise InvalidInput.at(name, f"must be at most {MAX_BYTES // 1_000_000} MB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InvalidInput.at(f"{name}:{line}", "not UTF-8 text") from None


def parse(text: str, *, name: str) -> Document:
    """Parse YAML 1.2 text.

    Raises:
        InvalidInput: The text has a syntax error or duplicate keys.
    """
    node = _compose(text, name)
    if node is None:
        raise InvalidInput.at(name, "is empty")
    builder = _Builder(name)
    try:
        value = builder.build(node, ())
    except RecursionError:  # a mapping that merges itself adds no nesting level
        raise InvalidInput.at(name, _too_deep()) from None
    if builder.problems:
        raise InvalidInput(*builder.problems)
    return Document(name, value, builder.lines)


def documents(text: str) -> Iterator[str]:
    """Yield each YAML document that has content, after as many lines as precede it."""
    line = 0
    for part in _SEPARATOR.split(text):
        lines = (each.strip() for each in part.splitlines())
        if any(each and not each.startswith("#") for each in lines):
            yield "\n" * line + part
        line += part.count("\n")


def _compose(text: str, name: str) -> Node | None:
    loader = YAML(typ="safe", pure=True)
    loader.composer.warn_double_anchors = (
        False  # YAML allows this; the last anchor wins
    )
    try:
        _refuse_other_version(text, name)
        return loader.compose(text)  # type: ignore[no-any-return]
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"control character {printable(chr(error.character))}"
        raise InvalidInput.at(f"{name}:{line}", f"invalid YAML: {what}") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(
            error, "context_mark", None
        )
        location = f"{name}:{mark.line + 1}" if mark else name
        raise InvalidInput.at(location, _syntax(error)) from None
    except RecursionError:
        raise InvalidInput.at(name, _too_deep()) from None
    except ValueError as error:  # e.g. %YAML 9.9
        raise InvalidInput.at(name, f"invalid YAML: {error}") from None


def _refuse_other_version(text: str, name: str) -> None:
    """Raise InvalidInput for YAML 1.1, in which `no` is false and 12:30 is 750."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("%YAML") and line.split()[1:2] != ["1.2"]:
            raise InvalidInput.at(f"{name}:{number}", "must be YAML 1.2")
        if line and not line.startswith(("%", "#")):
            return


def _syntax(error: YAMLError) -> str:
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if "stream end" in problem or "end of stream" in problem:
        return f"invalid YAML: unexpected end of file{_unclosed(error)}"
    if "expected <block end>" in problem:
        return "invalid YAML: inconsistent indentation"
    if "'\\t'" in problem:
        return "invalid YAML: found a tab; indent with spaces"
    if "but found another document" in problem:
        return "must contain one YAML document, not several"
    if "undefined alias" in problem:
        return f"{problem.replace('found ', '')}; define its anchor above it"
    return f"invalid YAML: {problem}"


def _unclosed(error: YAMLError) -> str:
    """Return a message suffix with the line of an unclosed quote or bracket."""
    opened = getattr(error, "context_mark", None)
    end = getattr(error, "problem_mark", None)
    if opened is None or end is None or opened.line >= end.line:
        return ""
    return f"; unclosed quote or bracket on line {opened.line + 1}"


def _too_deep() -> str:
    return f"must be nested at most {MAX_DEPTH} levels deep"


class _Builder:
    """A converter from YAML nodes to values that collects lines and problems."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self._values = 0

    def build(self, node: Node, path: KeyPath) -> Any:  # noqa: ANN401 YAML values
        kind = _KINDS.get(str(node.tag).removeprefix(_TAG))
        if not isinstance(node, kind or ()):
            self._refuse(node, f"the tag {printable(str(node.tag))} is not supported")
        self._values += 1
        if self._values > MAX_VALUES:
            self._refuse(
                node, f"expands to more than {MAX_VALUES} values; check its anchors"
            )
        if len(path) > MAX_DEPTH:
            self._refuse(node, _too_deep())
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if isinstance(node, SequenceNode):
            return [
                self.build(item, (*path, index))
                for index, item in enumerate(node.value)
            ]
        assert isinstance(node, MappingNode)  # noqa: S101 YAML has three kinds
        return self._mapping(node, path)

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._key(key_node)
            if key in first:
                lines = f" (lines {first[key]} and {line})" if first[key] < line else ""
                self._problem(line, f"{key}: duplicate key{lines}")
                continue
            first[key] = line
            if key_node.tag == f"{_TAG}merge":
                self._merge(merged, value_node, path)
                continue
            self.lines[(*path, key)] = line
            own[key] = self.build(value_node, (*path, key))
        return {**merged, **own}

    def _merge(self, into: dict[str, Any], node: Node, path: KeyPath) -> None:
        for source in node.value if isinstance(node, SequenceNode) else [node]:
            value = self.build(source, path)
            if not isinstance(value, dict):
                self._refuse(source, "'<<' can only merge mappings")
            for key, item in value.items():
                into.setdefault(key, item)

    def _key(self, node: Node) -> str:
        if isinstance(node, ScalarNode):
            return self._text(node)
        return self._refuse(node, "a key must be a string, not a list or a mapping")

    def _scalar(self, node: ScalarNode) -> object:
        text = self._text(node)
        match str(node.tag).removeprefix(_TAG):
            case "null" if text.lower() in ("", "~", "null"):
                return None
            case "bool" if text.lower() in ("true", "false"):
                return text.lower() == "true"
            case "int":
                return self._int(node, text)
            case "float":
                return self._float(node, text)
            case "str" | "timestamp" | "value" | "merge":  # 2020-01-01, =, <<
                return text
        tag = str(node.tag).removeprefix(_TAG)
        return self._refuse(node, f"not a valid !!{tag}: {printable(text)}")

    def _text(self, node: ScalarNode) -> str:
        text = str(node.value)
        if text.isascii():
            return text
        try:  # JSON encodes some characters as surrogate pairs
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            return self._refuse(node, f"unpaired surrogate: {printable(text)}")

    def _int(self, node: ScalarNode, text: str) -> int:
        digits = text.replace("_", "").lower()
        base = 16 if "0x" in digits else 8 if "0o" in digits else 10
        try:
            return int(digits, base)
        except ValueError:  # thousands of digits, or 0b…
            self._refuse(node, f"must be an integer, not {printable(text, limit=20)}")

    def _float(self, node: ScalarNode, text: str) -> float:
        """Return a finite number; JSON in Ray does not support others."""
        try:
            number = float(text.replace("_", ""))
        except ValueError:  # .inf, .nan, !!float x
            number = math.nan
        if not math.isfinite(number):
            shown = printable(text, limit=20)
            self._refuse(node, f"must be a finite number, not {shown}")
        return number

    def _problem(self, line: int, text: str) -> None:
        self.problems.append(Problem(f"{self.name}:{line}", text))

    def _refuse(self, node: Node, text: str) -> NoReturn:
        raise InvalidInput(
            *self.problems, Problem(f"{self.name}:{node.start_mark.line + 1}", text)
        )
