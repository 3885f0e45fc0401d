"""How traffic is split, judged and steered: the pure parts."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.steps import steps_of
from raylift.document import parse
from raylift.errors import CannotWork, Conflict, InputFailed
from serve_runtime.canary import Canary, prepare_canary
from serve_runtime.config import check
from serve_runtime.metrics import Sample
from serve_runtime.plan import plan
from serve_runtime.prepare import Prepared
from serve_runtime.release import Desired
from serve_runtime.traffic.documents import (
    IMPORT_PATH,
    refuse_deleted_arms,
    refuse_missing_arms,
    split_of,
    with_split,
)
from serve_runtime.traffic.figures import NOTHING, Figures, collect, judge
from serve_runtime.traffic.split import choose

CALLERS = [str(number) for number in range(4000)]


def splitter(name="chat", **config):
    return {
        "name": name,
        "route_prefix": f"/{name}",
        "import_path": IMPORT_PATH,
        "deployments": [{"name": "Splitter", "user_config": config}],
    }


def app(name, **more):
    return {"name": name, "route_prefix": f"/{name}", "import_path": "a:b", **more}


def arms_of(weights, callers=CALLERS):
    return Counter(choose(weights, caller, among=weights) for caller in callers)


# -- choosing ------------------------------------------------------------------


@pytest.mark.parametrize("share", [1, 5, 25, 50, 90])
def test_shares_are_the_weights(share):
    found = arms_of({"old": 100 - share, "new": share})
    assert abs(found["new"] / len(CALLERS) - share / 100) < 0.03


def test_of_three_arms_too():
    found = arms_of({"a": 1, "b": 2, "c": 1})
    assert abs(found["b"] / len(CALLERS) - 0.5) < 0.03
    assert abs(found["a"] / len(CALLERS) - 0.25) < 0.03


@given(st.floats(0.01, 99), st.floats(0.01, 99), st.text(max_size=40))
def test_who_has_the_new_version_keeps_it_while_it_grows(one, other, caller):
    small, large = sorted((one, other))
    now, later = ({"old": 100 - share, "new": share} for share in (small, large))
    if choose(now, caller, among=now) == "new":
        assert choose(later, caller, among=later) == "new"


def test_an_arm_without_weight_or_route_gets_nothing():
    assert arms_of({"a": 0, "b": 1})["a"] == 0
    assert choose({"a": 1, "b": 1}, "x", among=["b"]) == "b"
    assert choose({"a": 1}, "x", among=[]) is None


# -- a splitter in a Serve config ------------------------------------------------


def problems_of(user_config: str, name: str = "Splitter") -> str:
    text = f"""\
applications:
- name: chat
  import_path: {IMPORT_PATH}
  deployments:
  - name: {name}
    user_config: {user_config}
"""
    with pytest.raises(InputFailed) as failed:
        check(parse(text, name="serve.yaml"), folder=None)
    return str(failed.value)


KEY = "serve.yaml:6: applications[0].deployments[0].user_config"


@pytest.mark.parametrize(
    ("user_config", "message"),
    [
        ("{arms: {a: -1, b: 2}}", f"{KEY}.arms.a: must be 0 or more, not -1"),
        ("{arms: {a: 0}}", f"{KEY}.arms: one arm at least needs a weight above 0"),
        ("{arms: {}}", f"{KEY}.arms: one arm at least needs a weight above 0"),
        ("{arms: {a: .inf}}", "serve.yaml:6: must be a finite number, not .inf"),
        ("{arms: {a: much}}", f"{KEY}.arms.a: must be a number, not the text"),
        ("{arm: {a: 1}}", f"{KEY}.arm: unknown key; did you mean arms?"),
        ("{arms: {a: 1}, sticky: {}}", f"{KEY}.sticky: give either header or cookie"),
        ("{arms: {a: 1}, mirror: {b: 101}}", f"{KEY}.mirror.b: must be 100 or less"),
    ],
)
def test_what_is_wrong_with_a_user_config(user_config, message):
    assert message in problems_of(user_config)


def test_a_splitter_without_a_config_or_with_another_deployment():
    assert "a splitter needs [{name: Splitter" in problems_of("null")
    assert "a splitter has only 'Splitter'" in problems_of("{arms: {a: 1}}", "Other")


# -- arms that are there, and arms that go ---------------------------------------


def test_every_arm_must_be_an_application_with_a_route():
    documents = {
        "chat": splitter(arms={"chat-v1": 1, "hidden": 1, "chat": 1}, mirror={"v9": 1}),
        "chat-v2": app("chat-v2"),
        "hidden": app("hidden", route_prefix=None),
    }
    with pytest.raises(InputFailed) as failed:
        refuse_missing_arms(["chat"], documents)
    assert str(failed.value).splitlines() == [
        "chat: arm 'chat-v1' is no application of this cluster; did you mean chat-v2?",
        "chat: arm 'hidden' has no route_prefix, so it cannot be reached over HTTP",
        "chat: arm 'chat' is a splitter itself",
        "chat: arm 'v9' is no application of this cluster",
    ]


def test_only_a_changed_splitter_is_asked_for_its_arms():
    refuse_missing_arms(["other"], {"chat": splitter(arms={"gone": 1})})


@pytest.mark.parametrize(
    "config",
    [
        {"arms": {"v1": 1, "v2": 1}},
        {"arms": {"v1": 1}, "mirror": {"v2": 5}},
        {"arms": {"v1": 1}, "lease": {"seconds": 5, "arms": {"v2": 1}}},
    ],
)
def test_an_arm_with_traffic_does_not_go(config):
    documents = {"chat": splitter(**config), "v1": app("v1"), "v2": app("v2")}
    with pytest.raises(Conflict, match="v2: splitter 'chat' sends traffic to it"):
        refuse_deleted_arms(["v2"], documents)
    refuse_deleted_arms(["v2", "chat"], documents)


@pytest.mark.parametrize(
    ("config", "gone", "help_"),
    [
        (
            {"arms": {"v1": 1, "v2": 1}},
            ["v2"],
            "raylift traffic chat v2=0, then delete it",
        ),
        (
            {"arms": {"v1": 1, "v2": 1, "v3": 1}},
            ["v2", "v3"],
            "raylift traffic chat v2=0 v3=0, then delete it",
        ),
        (
            {"arms": {"v1": 0, "v2": 1}},
            ["v2"],
            "raylift traffic chat v2=0 v1=1, then delete it",
        ),
        (
            {"arms": {"v2": 1, "long-gone": 0}},
            ["v2"],
            "it has no other arm: give it one, or delete chat as well",
        ),
        (
            {"arms": {"v1": 1, "v2": 1}, "mirror": {"v2": 5}},
            ["v2"],
            "deploy chat without it in mirror, then delete it",
        ),
        (
            {"arms": {"v1": 1, "v2": 0}, "lease": {"seconds": 5, "arms": {"v2": 1}}},
            ["v2"],
            "a canary shifts traffic: run the same command again after its end",
        ),
    ],
)
def test_what_helps_to_delete_an_arm(config, gone, help_):
    documents = {name: app(name) for name in ("v1", "v2", "v3")}
    with pytest.raises(Conflict) as refused:
        refuse_deleted_arms(gone, {"chat": splitter(**config), **documents})
    assert refused.value.hint == help_


def test_an_arm_without_traffic_goes():
    documents = {"chat": splitter(arms={"v1": 1, "v2": 0}), "v2": app("v2")}
    refuse_deleted_arms(["v2"], documents)


# -- judging ---------------------------------------------------------------------


def figures(requests, errors=0, **slow):
    buckets = {float("inf"): requests, **{float(k[2:]): v for k, v in slow.items()}}
    return Figures(requests, errors, buckets)


@pytest.mark.parametrize(
    ("new", "old", "verdict"),
    [
        (figures(100), figures(1000), ""),
        (figures(100, 1), figures(1000, 10), ""),
        (figures(0), figures(1000), "no request reached it"),
        (figures(100), figures(0), "no request reached the old version"),
        (figures(100, 5), figures(1000, 10), "5 of 100 requests failed"),
        (figures(100, ms100=0, ms200=100), figures(100, ms50=100), "answer within 195"),
        (figures(100, ms50=0, ms75=100), figures(100, ms50=100), ""),
    ],
)
def test_a_new_version_is_judged_by_errors_and_latency(new, old, verdict):
    found = judge(new, old)
    assert found.startswith(verdict) if not verdict else verdict in found
    assert bool(found) == bool(verdict)


def sample(name, value, arm="v1", replica="r1", **labels):
    tags = {"application": "chat", "role": "serve", "arm": arm, "replica": replica}
    return Sample(f"ray_raylift_traffic_{name}", {**tags, **labels}, value)


def test_counts_are_summed_over_replicas_and_compared_by_replica():
    before = collect([sample("requests_total", 100, replica="old")], "chat")
    after = collect(
        [
            sample("requests_total", 130, replica="old"),
            sample("errors_total", 3, replica="old"),
            sample("requests_total", 7, replica="new"),
            sample("requests_total", 50, arm="v2"),
            sample("requests_total", 9, role="mirror"),
            sample("requests_total", 9, application="other"),
            sample("latency_ms_bucket", 20, replica="old", le="10.0"),
            sample("latency_ms_bucket", 30, replica="old", le="+Inf"),
        ],
        "chat",
    )
    done = after.since(before)
    assert (done["v1"].requests, done["v1"].errors) == (37, 3)
    assert done["v2"].requests == 50
    assert after.since(NOTHING)["v1"].requests == 137
    assert done["v1"].latency_ms(0.5) == pytest.approx(7.5)


# -- a canary --------------------------------------------------------------------

CHAT = splitter(arms={"model": 3, "other": 1}, sticky={"header": "u"})
OLD, NEW = app("model", args={"v": 1}), app("model", args={"v": 2})


class Idle:
    """A cluster that nobody else works on."""

    def refuse_busy(self, names):
        self.asked = list(names)


def prepared(wanted, there):
    return Prepared(plan(wanted, there), wanted, there, Desired(), {})


def test_a_canary_shares_the_weight_of_its_arm_and_leases_it():
    there = {"model": OLD, "chat": CHAT}
    canary = prepare_canary(Idle(), prepared({"model": NEW}, there))
    assert isinstance(canary, Canary)
    assert canary.beside == {
        **NEW,
        "name": "model-canary",
        "route_prefix": "/model-canary",
    }
    split = split_of(canary.shifted(20, lease={"seconds": 15, "renewed": 2}))
    assert split.arms == pytest.approx({"model": 2.4, "other": 1, "model-canary": 0.6})
    assert split.lease.arms == {"model": 3, "other": 1, "model-canary": 0}
    assert split.sticky.header == "u"
    assert split_of(canary.shifted(100)).arms["model"] == 0
    assert canary.back == [("model", OLD), ("chat", CHAT), ("model-canary", None)]


def test_nothing_to_do_is_no_canary():
    there = {"model": OLD, "chat": CHAT}
    assert prepare_canary(Idle(), prepared({"model": OLD}, there)) is None


@pytest.mark.parametrize(
    ("wanted", "there", "error", "message"),
    [
        ({"model": NEW}, {}, CannotWork, "no old version serves"),
        ({"model": NEW}, {"model": OLD}, CannotWork, "and there is none"),
        (
            {"model": NEW},
            {"model": OLD, "chat": splitter(arms={"x": 1}, mirror={"model": 9})},
            CannotWork,
            "and there is none",
        ),
        (
            {"model": NEW},
            {"model": OLD, "chat": CHAT, "two": splitter("two", arms={"model": 1})},
            CannotWork,
            "and there is chat, two",
        ),
        (
            {"model": NEW, "b": app("b")},
            {"model": OLD, "chat": CHAT},
            InputFailed,
            "a canary takes one application, and model, b change",
        ),
        (
            {"model": NEW},
            {"model": OLD, "chat": CHAT, "model-canary": app("x")},
            Conflict,
            "application 'model-canary' exists",
        ),
    ],
)
def test_what_no_canary_can_be_made_of(wanted, there, error, message):
    with pytest.raises(error, match=message):
        prepare_canary(Idle(), prepared(wanted, there))


def test_a_split_loses_the_keys_that_are_none():
    document = with_split(splitter(arms={"a": 1}, lease={"x": 1}), lease=None)
    assert document["deployments"][0]["user_config"] == {"arms": {"a": 1}}


# -- the command line ------------------------------------------------------------


def test_steps():
    steps = steps_of("5,25,100", blue_green=False, step="5m")
    assert (steps.percents, steps.seconds) == ((5, 25, 100), 300)
    assert steps_of(None, blue_green=True, step="60").percents == (100,)
    assert steps_of(None, blue_green=False, step="60s") is None


@pytest.mark.parametrize("canary", ["", "5,5,100", "0,100", "5,50", "a", "nan"])
def test_steps_that_are_none(canary):
    with pytest.raises(InputFailed, match="must be percentages that rise to 100"):
        steps_of(canary, blue_green=False, step="60s")


@pytest.mark.parametrize("step", ["", "1s", "-5", "5x", "inf", "1e9"])
def test_times_that_are_none(step):
    with pytest.raises(InputFailed, match="--step"):
        steps_of("100", blue_green=False, step=step)
