"""ab-test: weights, sticky users, the mirror, and a change of weights under load."""

import json
import urllib.request
from collections import Counter

import pytest
from load import Load
from project import ANSWER_SECONDS, wait_until

pytestmark = pytest.mark.ray


def ask(stack, user):
    url = f"http://127.0.0.1:{stack.ports['serve']}/ab-test/?name=Ann"
    request = urllib.request.Request(url, headers={"x-user": user})
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as response:
        return response.headers["x-raylift-arm"], json.load(response)["greeting"]


def asked(stack, arm):
    return int(stack.get(f"/{arm}/asked")[1])


def test_users_are_split_by_weight_and_keep_their_arm(example):
    first = {user: ask(example, f"user-{user}") for user in range(300)}
    arms = Counter(arm for arm, _ in first.values())
    # 10% of 300, within 5 standard deviations
    assert 10 <= arms["ab-test-casual"] <= 60
    assert arms["ab-test-formal"] == 300 - arms["ab-test-casual"]
    greetings = {"ab-test-casual": "Hi Ann", "ab-test-formal": "Good day, Ann"}
    assert all(said == greetings[arm] for arm, said in first.values())
    assert all(ask(example, f"user-{user}") == first[user] for user in range(0, 300, 7))


@pytest.mark.long
def test_the_mirror_receives_a_copy_of_every_request(example):
    arms = ("ab-test-formal", "ab-test-casual")
    wait_until(
        lambda: (
            sum(asked(example, arm) for arm in arms) == asked(example, "ab-test-shadow")
        )
    )


def test_new_weights_move_only_the_necessary_users_and_lose_no_request(example):
    before = {user: ask(example, f"user-{user}")[0] for user in range(100)}
    pids = example.replica_pids("ab-test")
    with Load(example, "/ab-test/?name=Bob") as load:
        example.run("traffic", "ab-test", "ab-test-casual=90")  # 50% each
    assert load.lost == []
    assert len(load.answers) > 10
    after = {user: ask(example, f"user-{user}")[0] for user in range(100)}
    moved = Counter((before[u], after[u]) for u in before if before[u] != after[u])
    assert set(moved) == {("ab-test-formal", "ab-test-casual")}
    assert 20 <= moved.total() <= 65  # 40% expected
    assert example.replica_pids("ab-test") == pids


@pytest.mark.long
def test_traffic_counts_the_requests_of_each_arm(example):
    def requests():
        shown = json.loads(example.run("traffic", "ab-test", "--json").stdout)
        return sum(arm["requests"] for arm in shown["arms"])

    total = sum(asked(example, f"ab-test-{arm}") for arm in ("formal", "casual"))
    wait_until(lambda: requests() == total)


@pytest.mark.long
def test_an_arm_with_traffic_is_not_deleted(example):
    refused = example.run("delete", "ab-test-casual", code=5)
    assert "splitter 'ab-test' sends traffic to it" in refused.stderr
    assert "ab-test-casual" in example.names()
