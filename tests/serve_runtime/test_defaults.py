"""The safe defaults: added only to unset keys, and the same every time."""

from __future__ import annotations

import copy

from hypothesis import given
from hypothesis import strategies as st

from raylift.serve_runtime.deploy.defaults import add_defaults
from raylift.serve_runtime.serve_config.config import Application
from raylift.serve_runtime.serve_config.source import SourceInfo

SETTINGS = {
    "max_surge_percent": st.integers(0, 100),
    "max_queued_requests": st.integers(1, 9),
    "request_router_config": st.just({"max_backoff_s": 1.0}),
    "num_replicas": st.sampled_from([1, 3, "auto", None]),
    "ray_actor_options": st.sampled_from([None, {"num_gpus": 1}]),
    "gang_scheduling_config": st.just({"gang_size": 1}),
    "placement_group_bundles": st.just([{"CPU": 1}]),
}
settings = st.fixed_dictionaries({}, optional=SETTINGS)
names = st.sampled_from(["A", "B", "C"])


@st.composite
def applications(draw: st.DrawFn) -> Application:
    in_code = draw(st.dictionaries(names, settings, min_size=1))
    for name in in_code:
        if draw(st.booleans()):
            in_code[name] |= {"**": None}
    overridden = draw(st.lists(st.sampled_from(sorted(in_code)), unique=True))
    overrides = [{"name": name, **draw(settings)} for name in overridden]
    for override in overrides:  # a config may not hold these as null
        if override.get("ray_actor_options", 1) is None:
            del override["ray_actor_options"]
    document = {"import_path": "m:a"} | (
        {"deployments": overrides} if overrides else {}
    )
    return Application("x", document, None, SourceInfo(in_code, complete=True), "f:1")


rooms = st.sampled_from([lambda *_: True, lambda *_: False])


@given(applications(), rooms)
def test_settings_of_the_config_and_the_code_are_kept(application, room):
    before = copy.deepcopy(application)
    complete, added = add_defaults(application, room_for=room)
    assert application == before
    after = {d["name"]: d for d in complete.document.get("deployments", [])}
    for override in application.document.get("deployments", []):
        kept = after.get(override["name"], {"name": override["name"]})
        assert override.items() <= kept.items()
    for new in added:
        assert new.setting not in application.facts.deployments[new.deployment]


@given(applications(), rooms)
def test_every_added_default_is_reported_with_its_reason(application, room):
    complete, added = add_defaults(application, room_for=room)
    after = {d["name"]: d for d in complete.document.get("deployments", [])}
    before = {d["name"]: d for d in application.document.get("deployments", [])}
    new = {
        (name, key)
        for name, settings in after.items()
        for key in settings.keys() - before.get(name, {"name": name}).keys()
    }
    assert new == {(a.deployment, a.setting) for a in added}
    assert all(a.reason and after[a.deployment][a.setting] == a.value for a in added)


@given(applications(), rooms)
def test_a_second_run_adds_nothing_and_changes_nothing(application, room):
    once, _ = add_defaults(application, room_for=room)
    twice, added = add_defaults(once, room_for=room)
    assert (twice.document, added) == (once.document, [])


@given(applications())
def test_a_deployment_whose_settings_are_not_all_known_gets_nothing(application):
    _, added = add_defaults(application, room_for=lambda *_: True)
    in_code = application.facts.deployments
    assert all("**" not in in_code[a.deployment] for a in added)


@given(applications())
def test_an_application_that_was_not_read_in_full_gets_nothing(application):
    unread = Application("x", application.document, None, SourceInfo(), "f:1")
    assert add_defaults(unread, room_for=lambda *_: True) == (unread, [])


def test_the_room_asked_for_is_that_of_every_replica():
    asked = []

    def room_for(needs: dict[str, float], replicas: int) -> bool:
        asked.append((needs, replicas))
        return True

    facts = SourceInfo(
        {"A": {"num_replicas": 3, "ray_actor_options": {"num_gpus": 2}}}, complete=True
    )
    add_defaults(Application("x", {}, None, facts, ""), room_for=room_for)
    assert asked == [({"CPU": 1.0, "GPU": 2.0}, 3)]
