"""Plans and safe defaults: planning again after a deploy is a no-op."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from raylift.serve_runtime.deploy.defaults import add_defaults
from raylift.serve_runtime.deploy.plan import plan, removal, same_document
from raylift.serve_runtime.deploy.replica_needs import needs
from raylift.serve_runtime.serve_config.config import Application
from raylift.serve_runtime.serve_config.source import SourceInfo, inspect

if TYPE_CHECKING:
    from pathlib import Path

documents = st.dictionaries(
    st.sampled_from("abcd"),
    st.fixed_dictionaries(
        {"import_path": st.sampled_from(["m:a", "m:b"])},
        optional={
            "args": st.dictionaries(st.sampled_from("xy"), st.integers(0, 2)),
            "deployments": st.lists(
                st.fixed_dictionaries(
                    {"name": st.sampled_from("PQ"), "num_replicas": st.integers(1, 3)}
                ),
                unique_by=lambda d: d["name"],
            ),
        },
    ),
)


def _applied(running, decided):
    kept = {n: d for n, d in running.items() if n not in decided.documents}
    return kept | {n: d for n, d in decided.documents.items() if d is not None}


@given(documents, documents, st.booleans())
def test_planning_again_after_a_deploy_is_a_no_op(desired, running, prune):
    after = _applied(running, plan(desired, running, prune=prune))
    assert plan(desired, after, prune=prune).nothing_to_do


@given(documents, documents)
def test_applications_that_are_not_in_the_config_do_not_change(desired, running):
    after = _applied(running, plan(desired, running))
    others = running.keys() - desired.keys()
    assert {n: after[n] for n in others} == {n: running[n] for n in others}


@given(documents, documents)
def test_pruning_leaves_exactly_the_desired_applications(desired, running):
    after = _applied(running, plan(desired, running, prune=True))
    assert after.keys() == desired.keys()


def test_the_order_of_deployments_is_no_difference():
    one, two = {"name": "A"}, {"name": "B"}
    assert same_document({"deployments": [one, two]}, {"deployments": [two, one]})
    assert not same_document({"deployments": [one]}, {"deployments": [two]})


def test_a_changed_key_is_reported_with_its_path_and_both_values():
    before = {"a": {"deployments": [{"name": "D", "num_replicas": 1}]}}
    after = {"a": {"deployments": [{"name": "D", "num_replicas": 2}]}}
    change = plan(after, before).changes[0]
    assert change.action == "change"
    assert [(d.key, d.before, d.after) for d in change.differences] == [
        ("deployments.D.num_replicas", 1, 2)
    ]


def test_an_application_that_is_not_serving_is_submitted_again():
    same = {"a": {"import_path": "m:a"}}
    decided = plan(same, same, unsettled=frozenset("a"))
    assert list(decided.documents) == ["a"]


@given(documents, documents, st.booleans(), st.randoms())
def test_the_order_of_keys_and_deployments_changes_no_plan(
    desired, running, prune, random
):
    def shuffled(value):
        if isinstance(value, dict):
            items = [(key, shuffled(item)) for key, item in value.items()]
            random.shuffle(items)
            return dict(items)
        if isinstance(value, list):
            items = [shuffled(item) for item in value]
            random.shuffle(items)
            return items
        return value

    one = plan(desired, running, prune=prune)
    mixed = {name: shuffled(document) for name, document in running.items()}
    two = plan(desired, mixed, prune=prune)
    assert [(c.application, c.action) for c in one.changes] == [
        (c.application, c.action) for c in two.changes
    ]


@given(documents, documents)
def test_a_change_names_a_difference_and_nothing_else_does(desired, running):
    for change in plan(desired, running, prune=True).changes:
        assert (change.action == "change") == bool(change.differences)
        assert all(d.before != d.after for d in change.differences)


@given(documents, documents)
def test_planning_changes_neither_side(desired, running):
    before = copy.deepcopy((desired, running))
    plan(desired, running, prune=True)
    assert (desired, running) == before


def test_removal_deletes_exactly_the_named_applications():
    assert removal(["a", "b"]).documents == {"a": None, "b": None}
    assert removal([]).nothing_to_do


def _application(tmp_path: Path, code: str, **document) -> Application:
    (tmp_path / "main.py").write_text(code)
    facts = inspect("main:app", directory=tmp_path, beside=tmp_path)
    return Application("x", document, tmp_path, facts, "")


PLAIN = """
from ray import serve

@serve.deployment(max_queued_requests=7, ray_actor_options={"num_gpus": 1})
class A:
    pass

@serve.deployment(name="Bee")
class B:
    pass

@serve.deployment
class Unused:
    pass

app = A.bind(B.bind(), size=3)
"""


def test_defaults_go_to_bound_deployments_and_never_over_code_or_config(tmp_path):
    override = {"name": "Bee", "max_surge_percent": 0}
    application = _application(tmp_path, PLAIN, deployments=[override])
    complete, added = add_defaults(application, room_for=lambda *_: True)
    by_name = {d["name"]: d for d in complete.document["deployments"]}
    assert by_name.keys() == {"A", "Bee"}
    assert "max_queued_requests" not in by_name["A"]
    assert by_name["Bee"]["max_surge_percent"] == 0
    assert by_name["A"]["max_surge_percent"] == 100
    assert {(a.deployment, a.setting) for a in added} == {
        ("A", "request_router_config"),
        ("A", "max_surge_percent"),
        ("Bee", "request_router_config"),
        ("Bee", "max_queued_requests"),
    }


def test_defaults_added_twice_are_the_same(tmp_path):
    application = _application(tmp_path, PLAIN)
    once, _ = add_defaults(application, room_for=lambda *_: True)
    twice, added = add_defaults(once, room_for=lambda *_: True)
    assert twice.document == once.document
    assert added == []


def test_without_room_there_is_no_surge(tmp_path):
    application = _application(tmp_path, PLAIN)
    complete, _ = add_defaults(application, room_for=lambda *_: False)
    assert all("max_surge_percent" not in d for d in complete.document["deployments"])


UNPLAIN = {
    "a builder with a loop": "def app(args):\n    while 1:\n        return A.bind()\n",
    "a condition": "import os\napp = A.bind() if os.name else None\n",
    "options": "app = A.options(**more()).options(name=n).bind()\n",
    "an import": "from other import app\n",
    "assigned twice": "app = None\napp = A.bind()\n",
    "in a branch": "if True:\n    app = A.bind()\n",
    "a call": "def make():\n    return A.bind()\napp = make()\n",
    "an imported deployment": "from other import C\napp = C.bind()\n",
}


def test_code_that_is_not_plain_gets_no_defaults(tmp_path):
    start = "from ray import serve\n@serve.deployment\nclass A:\n    pass\n"
    for name, code in UNPLAIN.items():
        application = _application(tmp_path, start + code)
        assert application.facts == SourceInfo(), name
        complete, added = add_defaults(application, room_for=lambda *_: True)
        assert (complete, added) == (application, []), name


def test_resources_in_the_config_take_precedence_over_the_code():
    in_code = {"ray_actor_options": {"num_gpus": 1}}
    assert needs({}, {}) == {"CPU": 1.0}
    assert needs({}, in_code) == {"CPU": 1.0, "GPU": 1.0}
    override = {"ray_actor_options": {"num_cpus": 0, "resources": {"x": 2}}}
    assert needs(override, in_code) == {"x": 2.0}
    bundles = {"placement_group_bundles": [{"CPU": 1}, {"CPU": 2, "GPU": 1}]}
    assert needs(bundles, in_code) == {"CPU": 3.0, "GPU": 1.0}
