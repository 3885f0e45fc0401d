"""Traffic: choosing an arm, comparing arms, and planning a canary."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylift.cli.canary_options import canary_steps
from raylift.errors import Conflict, FailedPrecondition, InvalidInput
from raylift.serve_runtime.deploy.canary_plan import Canary, prepare_canary
from raylift.serve_runtime.deploy.canary_verdict import analyze
from raylift.serve_runtime.deploy.plan import plan
from raylift.serve_runtime.deploy.prepare import Prepared
from raylift.serve_runtime.deploy.traffic_stats import (
    NOTHING,
    ArmStats,
    collect,
)
from raylift.serve_runtime.ray_api.metrics import Sample
from raylift.serve_runtime.release import Desired
from raylift.serve_runtime.serve_config.config import check
from raylift.serve_runtime.serve_config.splitters import (
    IMPORT_PATH,
    refuse_deleted_arms,
    refuse_grpc_arm,
    refuse_missing_arms,
    split_of,
    with_split,
)
from raylift.serve_runtime.splitter.split import choose
from raylift.yaml_document import parse

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


def test_three_arms_get_their_shares():
    found = arms_of({"a": 1, "b": 2, "c": 1})
    assert abs(found["b"] / len(CALLERS) - 0.5) < 0.03
    assert abs(found["a"] / len(CALLERS) - 0.25) < 0.03


@given(st.floats(0.01, 99), st.floats(0.01, 99), st.text(max_size=40))
def test_a_caller_keeps_the_new_version_while_its_share_grows(one, other, caller):
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
    with pytest.raises(InvalidInput) as failed:
        check(parse(text, name="serve.yaml"), folder=None)
    return str(failed.value)


KEY = "serve.yaml:6: applications[0].deployments[0].user_config"


@pytest.mark.parametrize(
    ("user_config", "message"),
    [
        ("{arms: {a: -1, b: 2}}", f"{KEY}.arms.a: must be at least 0, not -1"),
        ("{arms: {a: 0}}", f"{KEY}.arms: at least one arm must have a weight above 0"),
        ("{arms: {}}", f"{KEY}.arms: at least one arm must have a weight above 0"),
        ("{arms: {a: .inf}}", "serve.yaml:6: must be a finite number, not .inf"),
        ("{arms: {a: much}}", f"{KEY}.arms.a: must be a number, not the string"),
        ("{arm: {a: 1}}", f"{KEY}.arm: unknown key; did you mean arms?"),
        (
            "{arms: {a: 1}, sticky: {}}",
            f"{KEY}.sticky: must have either header or cookie",
        ),
        ("{arms: {a: 1}, mirror: {b: 101}}", f"{KEY}.mirror.b: must be at most 100"),
    ],
)
def test_what_is_wrong_with_a_user_config(user_config, message):
    assert message in problems_of(user_config)


def test_a_splitter_without_a_config_or_with_another_deployment():
    assert "a splitter requires [{name: Splitter" in problems_of("null")
    assert "must be Splitter, a splitter's only deployment" in problems_of(
        "{arms: {a: 1}}", "Other"
    )


# -- missing and deleted arms ------------------------------------------------------


def test_every_arm_must_be_an_application_with_a_route():
    documents = {
        "chat": splitter(arms={"chat-v1": 1, "hidden": 1, "chat": 1}, mirror={"v9": 1}),
        "chat-v2": app("chat-v2"),
        "hidden": app("hidden", route_prefix=None),
    }
    with pytest.raises(InvalidInput) as failed:
        refuse_missing_arms(["chat"], documents)
    assert str(failed.value).splitlines() == [
        "chat: arm 'chat-v1' is not an application of this cluster; did you mean chat-v2?",  # noqa: E501
        "chat: arm 'hidden' has no route_prefix, so HTTP requests cannot reach it",
        "chat: arm 'chat' is itself a splitter",
        "chat: arm 'v9' is not an application of this cluster",
    ]


def test_a_running_splitter_does_not_forward_to_an_application_without_http():
    documents = {"chat": splitter(arms={"v1": 1}, mirror={"v2": 1}), "v1": app("v1")}
    refuse_grpc_arm("v3", documents, location="serve.yaml:2")
    with pytest.raises(InvalidInput) as failed:
        refuse_grpc_arm("v2", documents, location="serve.yaml:2")
    assert str(failed.value) == (
        "serve.yaml:2: v2: can be reached only through gRPC, which splitter 'chat' does"
        " not forward"
    )


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
def test_an_arm_with_traffic_cannot_be_deleted(config):
    documents = {"chat": splitter(**config), "v1": app("v1"), "v2": app("v2")}
    with pytest.raises(
        Conflict, match="cannot delete 'v2': splitter 'chat' sends traffic to it"
    ):
        refuse_deleted_arms(["v2"], documents)
    refuse_deleted_arms(["v2", "chat"], documents)


@pytest.mark.parametrize(
    ("config", "gone", "help_"),
    [
        (
            {"arms": {"v1": 1, "v2": 1}},
            ["v2"],
            "run `raylift traffic chat v2=0`, then delete it",
        ),
        (
            {"arms": {"v1": 1, "v2": 1, "v3": 1}},
            ["v2", "v3"],
            "run `raylift traffic chat v2=0 v3=0`, then delete it",
        ),
        (
            {"arms": {"v1": 0, "v2": 1}},
            ["v2"],
            "run `raylift traffic chat v2=0 v1=1`, then delete it",
        ),
        (
            {"arms": {"v2": 1, "long-gone": 0}},
            ["v2"],
            "add another arm to 'chat', or delete 'chat' as well",
        ),
        (
            {"arms": {"v1": 1, "v2": 1}, "mirror": {"v2": 5}},
            ["v2"],
            "remove it from the mirror key of splitter 'chat', deploy, then delete it",
        ),
        (
            {"arms": {"v1": 1, "v2": 0}, "lease": {"seconds": 5, "arms": {"v2": 1}}},
            ["v2"],
            "run the same command again when the canary has ended",
        ),
    ],
)
def test_what_helps_to_delete_an_arm(config, gone, help_):
    documents = {name: app(name) for name in ("v1", "v2", "v3")}
    with pytest.raises(Conflict) as refused:
        refuse_deleted_arms(gone, {"chat": splitter(**config), **documents})
    assert refused.value.hint == help_


def test_an_arm_without_traffic_can_be_deleted():
    documents = {"chat": splitter(arms={"v1": 1, "v2": 0}), "v2": app("v2")}
    refuse_deleted_arms(["v2"], documents)


# -- judging ---------------------------------------------------------------------


def figures(requests, errors=0, **slow):
    buckets = {float("inf"): requests, **{float(k[2:]): v for k, v in slow.items()}}
    return ArmStats(requests, errors, buckets)


@pytest.mark.parametrize(
    ("new", "old", "verdict"),
    [
        (figures(100), figures(1000), ""),
        (figures(100, 1), figures(1000, 10), ""),
        (figures(0), figures(1000), "no requests reached the new version"),
        (figures(100), figures(0), "no requests reached the old version"),
        (
            figures(100, 5),
            figures(1000, 10),
            "5 of 100 requests failed (old version: 10 of 1000)",
        ),
        (
            figures(100, ms100=0, ms200=100),
            figures(100, ms50=100),
            "p95 latency is 195 ms (old version: 48 ms)",
        ),
        (figures(100, ms50=0, ms75=100), figures(100, ms50=100), ""),
    ],
)
def test_a_new_version_is_judged_by_errors_and_latency(new, old, verdict):
    found = analyze(new, old)
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
    """A cluster without concurrent deploys."""

    def refuse_busy(self, names):
        self.asked = list(names)


def prepared(desired, running):
    return Prepared(plan(desired, running), desired, running, Desired(), {})


def test_a_canary_shares_the_weight_of_its_arm_and_leases_it():
    running = {"model": OLD, "chat": CHAT}
    canary = prepare_canary(Idle(), prepared({"model": NEW}, running))
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
    assert canary.rollback == [("model", OLD), ("chat", CHAT), ("model-canary", None)]


def test_a_no_op_has_no_canary():
    running = {"model": OLD, "chat": CHAT}
    assert prepare_canary(Idle(), prepared({"model": OLD}, running)) is None


@pytest.mark.parametrize(
    ("desired", "running", "error", "message"),
    [
        ({"model": NEW}, {}, FailedPrecondition, "needs a running version"),
        ({"model": NEW}, {"model": OLD}, FailedPrecondition, "found none"),
        (
            {"model": NEW},
            {"model": OLD, "chat": splitter(arms={"x": 1}, mirror={"model": 9})},
            FailedPrecondition,
            "found none",
        ),
        (
            {"model": NEW},
            {"model": OLD, "chat": CHAT, "two": splitter("two", arms={"model": 1})},
            FailedPrecondition,
            "found chat, two",
        ),
        (
            {"model": NEW, "b": app("b")},
            {"model": OLD, "chat": CHAT},
            InvalidInput,
            "a canary changes exactly one application, but model, b would change",
        ),
        (
            {"model": NEW},
            {"model": OLD, "chat": CHAT, "model-canary": app("x")},
            Conflict,
            "application 'model-canary' already exists",
        ),
    ],
)
def test_plans_without_a_possible_canary_are_refused(desired, running, error, message):
    with pytest.raises(error, match=message):
        prepare_canary(Idle(), prepared(desired, running))


def test_a_key_set_to_none_is_removed_from_a_split():
    document = with_split(splitter(arms={"a": 1}, lease={"x": 1}), lease=None)
    assert document["deployments"][0]["user_config"] == {"arms": {"a": 1}}


# -- the command line ------------------------------------------------------------


def test_steps():
    steps = canary_steps("5,25,100", blue_green=False, step="5m")
    assert (steps.percents, steps.seconds) == ((5, 25, 100), 300)
    assert canary_steps(None, blue_green=True, step="60").percents == (100,)
    assert canary_steps(None, blue_green=False, step="60s") is None


@pytest.mark.parametrize("canary", ["", "5,5,100", "0,100", "5,50", "a", "nan"])
def test_invalid_steps_are_refused(canary):
    with pytest.raises(
        InvalidInput, match="must be increasing percentages that end at 100"
    ):
        canary_steps(canary, blue_green=False, step="60s")


@pytest.mark.parametrize("step", ["", "1s", "-5", "5x", "inf", "1e9"])
def test_invalid_durations_are_refused(step):
    with pytest.raises(InvalidInput, match="--step"):
        canary_steps("100", blue_green=False, step=step)
