# ruff: noqa: E501 a case is a line
"""The text, location and order of problems."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from raylift.errors import InvalidInput, Problem
from raylift.key_path import dotted
from raylift.messages import (
    did_you_mean,
    kind,
    printable,
)
from raylift.strict_model import Strict, refuse, validate


class Part(Strict):
    replaced = {"old": "is gone; use count"}

    count: int = Field(default=1, ge=0, le=9)
    ratio: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    mode: Literal["fast", "slow"] = "fast"


class Whole(Strict):
    name: str
    on: bool = True
    part: Part = Part()
    parts: list[Part] = []
    named: dict[str, Part] = {}
    other: Part | None = None
    under: int = Field(default=0, alias="_under")


def _problems_of(**value: object) -> list[str]:
    model, problems = validate(
        Whole,
        {"name": "x", **value},
        location=lambda path: f"f:{len(path)}",
        named=lambda path: f"p:{dotted(path)}",
    )
    assert (model is None) == bool(problems)
    return [str(problem) for problem in problems]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": 1.1}, "f:1: p:name: must be a string, not the number 1.1; put it in quotes"),
        ({"name": True}, "f:1: p:name: must be a string, not true; put it in quotes"),
        ({"name": None}, "f:1: p:name: must be a string, not null"),
        ({"name": []}, "f:1: p:name: must be a string, not a list"),
        ({"on": "yes"}, "f:1: p:on: must be true or false, not the string 'yes'"),
        ({"on": 1}, "f:1: p:on: must be true or false, not the number 1"),
        ({"part": []}, "f:1: p:part: must be a mapping, not a list"),
        ({"parts": {}}, "f:1: p:parts: must be a list, not a mapping"),
        ({"named": 3}, "f:1: p:named: must be a mapping, not the number 3"),
        ({"part": {"count": True}}, "f:2: p:part.count: must be an integer, not true"),
        ({"part": {"count": 1.5}}, "f:2: p:part.count: must be an integer, not the number 1.5"),
        ({"part": {"count": -1}}, "f:2: p:part.count: must be at least 0, not -1"),
        ({"part": {"count": 10}}, "f:2: p:part.count: must be at most 9, not 10"),
        ({"part": {"ratio": 0.0}}, "f:2: p:part.ratio: must be greater than 0, not 0.0"),
        ({"part": {"mode": "fst"}}, "f:2: p:part.mode: must be one of fast, slow, not the string 'fst'; did you mean fast?"),
        ({"part": {"old": 1}}, "f:2: p:part.old: is gone; use count"),
        ({"parts": [{}, {"cuont": 1}]}, "f:3: p:parts[1].cuont: unknown key; did you mean count?"),
        ({"named": {"a": {"cuont": 1}}}, "f:3: p:named.a.cuont: unknown key; did you mean count?"),
        ({"other": {"cuont": 1}}, "f:2: p:other.cuont: unknown key; did you mean count?"),
        ({"under": 1}, "f:1: p:under: unknown key; did you mean p:_under?"),
        ({"zzz": 1}, "f:1: p:zzz: unknown key"),
    ],
)  # fmt: skip
def test_a_problem_says_where_what_and_what_was_meant(value, expected):
    assert _problems_of(**value) == [expected]


def test_what_is_missing_is_told():
    _, problems = validate(Whole, {}, location=lambda _: "f:1")
    assert [str(p) for p in problems] == ["f:1: name: required but missing"]


def test_what_is_no_mapping_is_told_as_what_it_is():
    _, problems = validate(Whole, [], location=lambda _: "f")
    assert [str(p) for p in problems] == ["f: must be a mapping, not a list"]


def test_problems_are_told_in_the_order_of_the_file_and_all_at_once():
    problems = [Problem("f:10", "c"), Problem("f:9", "b"), Problem("f", "a")]
    with pytest.raises(InvalidInput, match=r"^f: a\nf:9: b\nf:10: c$"):
        refuse(problems)
    assert refuse([]) is None


def test_a_path_is_written_as_people_write_it():
    assert dotted(("applications", 0, "deployments", 12, "name")) == (
        "applications[0].deployments[12].name"
    )
    assert dotted(()) == ""


def test_long_text_is_cut_and_control_characters_are_spelt_out():
    assert kind("a" * 61) == f"the string '{'a' * 60}…'"
    assert kind("a\n\x1b[31m\u202eb\ud800") == r"the string 'a\n\x1b[31m\u202eb\ud800'"


@given(st.text(), st.integers(1, 80))
def test_printable_text_is_short_and_holds_no_control_character(text, limit):
    shown = printable(text, limit=limit)
    assert shown.isprintable()
    assert len(shown) <= limit + 1


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("num_replica", "; did you mean num_replicas?"),
        ("NUM-REPLICAS", "; did you mean num_replicas?"),
        ("numReplicas", "; did you mean num_replicas?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_only_a_near_word_is_offered(word, expected):
    assert did_you_mean(word, ["num_replicas", "name"]) == expected
