"""YAML text as values with line numbers, or InvalidInput."""

from __future__ import annotations

import json
import os
import threading

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from raylift.errors import InvalidInput
from raylift.yaml_document import (
    MAX_BYTES,
    Document,
    parse,
    read,
)


def _value(text: str) -> object:
    return parse(f"a: {text}\n", name="f").value["a"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("y", "y"),
        ("true", True), ("False", False), ("~", None), ("null", None), ("", None),
        ("12:30:45", "12:30:45"), ("2020-01-01", "2020-01-01"), ("1.2.3", "1.2.3"),
        ("1.10", 1.1), ("'1.10'", "1.10"), ("010", 10), ("0o17", 15), ("0x1F", 31),
        ("1_000", 1000), ("-3", -3), ("+3", 3), ("1e3", 1000.0), (".5", 0.5),
        ("=", "="), ("<<", "<<"), ('"\\ud83d\\ude80"', "🚀"), ("'null'", "null"),
        ("!!str 3", "3"), ("!!int '3'", 3),
        ("!!float 3", 3.0), ("9" * 30, int("9" * 30)),
    ],
)  # fmt: skip
def test_a_scalar_is_what_yaml_1_2_says(text, expected):
    value = _value(text)
    assert (value, type(value)) == (expected, type(expected))


def test_every_value_has_the_line_of_its_key():
    text = "a:\n  b: 1\n  c:\n    - x\n    - {d: 2,\n       e: 3}\n"
    document = parse(text, name="f.yaml")
    lines = {
        (): 1, ("a",): 1, ("a", "b"): 2, ("a", "c"): 3, ("a", "c", 0): 4,
        ("a", "c", 1): 5, ("a", "c", 1, "d"): 5, ("a", "c", 1, "e"): 6,
    }  # fmt: skip
    assert document.lines == lines
    assert document.location(("a", "c", 1, "e")) == "f.yaml:6"


def test_what_has_no_line_takes_that_of_its_nearest_parent():
    document = parse("x: 1\na: {b: 1}\n", name="f")
    assert document.location(("a", "b", "c", 3)) == "f:2"
    assert document.location(("zzz",)) == "f:1"
    assert Document("f", {}, {}).location(("a",)) == "f"


def test_own_keys_win_over_merged_ones_and_earlier_merges_over_later():
    text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {c: 3, <<: [*x, *y]}\n"
    assert parse(text, name="f").value["z"] == {"a": 1, "b": 1, "c": 3}


def test_a_merged_value_is_told_at_the_line_that_says_it():
    document = parse("x: &x\n  a: 1\ny:\n  <<: *x\n", name="f")
    assert document.location(("y", "a")) == "f:2"


def test_an_anchor_given_again_counts_from_there_on():
    value = parse("a: &x 1\nb: *x\nc: &x 2\nd: *x\n", name="f").value
    assert value == {"a": 1, "b": 1, "c": 2, "d": 2}


def test_a_file_is_read_whole_or_refused_whole(tmp_path):
    path = tmp_path / "f"
    filler = b"#" * (MAX_BYTES - 5)
    path.write_bytes(b"a: 1\n" + filler)
    assert read(path, name="f").value == {"a": 1}
    path.write_bytes(b"a: 1\n" + filler + b"#")
    with pytest.raises(InvalidInput, match=r"^f: must be at most 5 MB$"):
        read(path, name="f")


def test_a_pipe_is_read_as_a_file_is(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=("a: 1\n",))
    writer.start()
    assert read(path, name="f").value == {"a": 1}
    writer.join()


plain = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=200)
@given(plain)
def test_json_is_read_as_the_value_it_is(value):
    text = json.dumps({"a": value})
    assume('"<<"' not in text)  # a merge key
    assume("\x7f" not in text)  # not allowed in YAML
    assert parse(text, name="f").value == {"a": value}
