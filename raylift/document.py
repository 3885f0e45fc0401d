"""YAML 1.2 text as plain values, each with the line it stands on.

The two files that people write (a stack file, a Serve config) come through here,
so both get the same care: `no` stays a word, a key given twice is an error and
not the last one silently, and a few anchors cannot expand to gigabytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from raylift.errors import InputFailed, Problem
from raylift.wording import printable

if TYPE_CHECKING:
    from pathlib import Path

    from ruamel.yaml.nodes import Node

Key = str | int
Place = tuple[Key, ...]

MAX_BYTES = 5_000_000
MAX_VALUES = 100_000
MAX_DEPTH = 64
_TAG = "tag:yaml.org,2002:"
_KINDS = {"map": MappingNode, "seq": SequenceNode} | dict.fromkeys(
    ("null", "bool", "int", "float", "str", "timestamp", "value", "merge"), ScalarNode
)


@dataclass(frozen=True, slots=True)
class Document:
    """A file's values and where each stands.

    `name` is how messages call the file; `lines` maps the path of a value
    (`("applications", 0, "name")`) to its line, counted from 1.
    """

    name: str
    value: Any
    lines: dict[Place, int] = field(repr=False)

    def place(self, path: Place) -> str:
        """`file:line` of a value, or of its nearest parent that has a line."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return f"{self.name}:{self.lines[path[:length]]}"
        return self.name


def read(path: Path, *, name: str) -> Document:
    """Read and parse one file.

    Raises:
        InputFailed: it cannot be read, is not UTF-8, or is not one YAML document.
    """
    try:
        with path.open("rb") as stream:  # a pipe or a device has no size to ask for
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputFailed.at(name, f"cannot be read: {reason}") from None
    except ValueError:
        raise InputFailed.at(name, "cannot be read: no name of a file") from None
    if len(data) > MAX_BYTES:
        raise InputFailed.at(name, f"larger than {MAX_BYTES // 1_000_000} MB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputFailed.at(f"{name}:{line}", "not UTF-8 text") from None
    return parse(text, name=name)


def parse(text: str, *, name: str) -> Document:
    """Parse YAML 1.2 text.

    Raises:
        InputFailed: a syntax error, or every key that is given twice.
    """
    node = _compose(text, name)
    if node is None:
        raise InputFailed.at(name, "is empty")
    builder = _Builder(name)
    try:
        value = builder.build(node, ())
    except RecursionError:  # a merge of itself adds no level
        raise InputFailed.at(name, _too_deep()) from None
    if builder.problems:
        raise InputFailed(*builder.problems)
    return Document(name, value, builder.lines)


def _compose(text: str, name: str) -> Node | None:
    loader = YAML(typ="safe", pure=True)
    loader.composer.warn_double_anchors = False  # YAML allows it: the last one counts
    try:
        _refuse_other_version(text, name)
        return loader.compose(text)  # type: ignore[no-any-return]
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        what = f"the control character {printable(chr(error.character))}"
        raise InputFailed.at(f"{name}:{line}", f"not YAML: {what}") from None
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(
            error, "context_mark", None
        )
        place = f"{name}:{mark.line + 1}" if mark else name
        raise InputFailed.at(place, _syntax(error)) from None
    except RecursionError:
        raise InputFailed.at(name, _too_deep()) from None
    except ValueError as error:  # e.g. %YAML 9.9
        raise InputFailed.at(name, f"not YAML: {error}") from None


def _refuse_other_version(text: str, name: str) -> None:
    """In YAML 1.1 `no` is false and 12:30 is 750."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("%YAML") and line.split()[1:2] != ["1.2"]:
            raise InputFailed.at(f"{name}:{number}", "must be YAML 1.2")
        if line and not line.startswith(("%", "#")):
            return


def _syntax(error: YAMLError) -> str:
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    if "stream end" in problem or "end of stream" in problem:
        return f"not YAML: the file ends too early{_unclosed(error)}"
    if "expected <block end>" in problem:
        return "not YAML: indented otherwise than the lines above it"
    if "'\\t'" in problem:
        return "a tab: YAML indents with spaces"
    if "but found another document" in problem:
        return "more than one YAML document; keep one"
    if "undefined alias" in problem:
        return f"{problem.replace('found ', '')}: no anchor of that name above it"
    return f"not YAML: {problem}"


def _unclosed(error: YAMLError) -> str:
    """Where a quote or a bracket began that is still open at the end."""
    opened = getattr(error, "context_mark", None)
    ends = getattr(error, "problem_mark", None)
    if opened is None or ends is None or opened.line >= ends.line:
        return ""
    return f"; line {opened.line + 1} opens what is not closed"


def _too_deep() -> str:
    return f"nested deeper than {MAX_DEPTH} levels"


class _Builder:
    """Turns the node tree into values, noting lines and problems on the way."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lines: dict[Place, int] = {}
        self.problems: list[Problem] = []
        self._values = 0

    def build(self, node: Node, path: Place) -> Any:  # noqa: ANN401 YAML values
        kind = _KINDS.get(str(node.tag).removeprefix(_TAG))
        if not isinstance(node, kind or ()):
            self._refuse(node, f"the tag {printable(str(node.tag))} is not supported")
        self._values += 1
        if self._values > MAX_VALUES:
            self._refuse(node, f"expands to more than {MAX_VALUES} values (anchors?)")
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
        assert isinstance(node, MappingNode)  # noqa: S101 YAML has these three kinds
        return self._mapping(node, path)

    def _mapping(self, node: MappingNode, path: Place) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = self._key(key_node)
            if key in first:
                twice = f" (lines {first[key]} and {line})" if first[key] < line else ""
                self._problem(line, f"{key}: given twice{twice}")
                continue
            first[key] = line
            if key_node.tag == f"{_TAG}merge":
                self._merge(merged, value_node, path)
                continue
            self.lines[(*path, key)] = line
            own[key] = self.build(value_node, (*path, key))
        return {**merged, **own}

    def _merge(self, into: dict[str, Any], node: Node, path: Place) -> None:
        for source in node.value if isinstance(node, SequenceNode) else [node]:
            value = self.build(source, path)
            if not isinstance(value, dict):
                self._refuse(source, "'<<' merges mappings only")
            for key, item in value.items():
                into.setdefault(key, item)

    def _key(self, node: Node) -> str:
        if isinstance(node, ScalarNode):
            return self._text(node)
        return self._refuse(node, "a key must be a plain word")

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
        return self._refuse(node, f"!!{tag} does not fit: {printable(text)}")

    def _text(self, node: ScalarNode) -> str:
        text = str(node.value)
        if text.isascii():
            return text
        try:  # JSON spells a rare character as two halves
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            return self._refuse(node, f"half a character: {printable(text)}")

    def _int(self, node: ScalarNode, text: str) -> int:
        digits = text.replace("_", "").lower()
        base = 16 if "0x" in digits else 8 if "0o" in digits else 10
        try:
            return int(digits, base)
        except ValueError:  # thousands of digits, or 0b…
            self._refuse(node, f"not a whole number: {printable(text, limit=20)}")

    def _float(self, node: ScalarNode, text: str) -> float:
        """A finite number: Ray's JSON has no other."""
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
        raise InputFailed(
            *self.problems, Problem(f"{self.name}:{node.start_mark.line + 1}", text)
        )
