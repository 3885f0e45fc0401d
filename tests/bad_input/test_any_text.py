"""2,000 texts that look like YAML: each is read or rejected with a location."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylift.errors import InvalidInput
from raylift.infra.config.loader import load_stack_file
from raylift.serve_runtime.serve_config import config as serve_config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIGNS = ["\n", "\n  ", "\n    ", ": ", "- ", "? ", "{", "}", "[", "]", ", ", "'", '"']
SIGNS += ["&x ", "*x", "<<: ", "!x ", "!!int ", "!!float ", "!!null ", "|\n", ">-\n"]
SIGNS += ["#", "%YAML 1.1\n", "%TAG ! a\n", "---\n", "...\n", "\\u", "\\x", "@", "`"]
WORDS = [
    "a",
    "no",
    "~",
    "=",
    "1.10",
    "1_",
    "0x",
    "e9",
    "-",
    ".inf",
    "12:30:45",
    "main:app",
]
WORDS += ["config", "raylift:target", "raylift:serve", "local", "port", "applications"]
WORDS += [
    "main:app",
    "import_path",
    "name",
    "runtime_env",
    "working_dir",
    ".",
    "deployments",
]
ODD = ["\t", "\0", "\x85", "\u2028", "\u202e", "\ufeff", "\r", "\x1b", "é", "🚀"]
pieces = st.lists(st.sampled_from(SIGNS + WORDS + ODD), max_size=30).map("".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("texts")


@settings(max_examples=2000)
@given(text=st.one_of(pieces, st.text(max_size=40)))
def test_any_text_is_read_or_refused_with_its_place_and_nothing_else(folder, text):
    path = folder / "f.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    places = [
        *_refusals(lambda: load_stack_file(path)),
        *_refusals(lambda: serve_config.load(path, name="f.yaml")),
    ]
    own = ("f.yaml", f"{folder.name}/f.yaml")
    assert [place for place in places if not place.startswith(own)] == []


def _refusals(load: Callable[[], object]) -> list[str]:
    try:
        load()
    except InvalidInput as failed:
        return [problem.location for problem in failed.problems]
    return []
