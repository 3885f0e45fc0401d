"""multiplexing: a model stays on the replica that loaded it until it is evicted."""

import json
import urllib.error
import urllib.request

import pytest
from project import wait_until

pytestmark = pytest.mark.ray


def _ask(example, model_id=None, header="serve_multiplexed_model_id"):
    request = urllib.request.Request(
        f"http://127.0.0.1:{example.ports['serve']}/multiplexing?prompt=hello",
        headers={} if model_id is None else {header: model_id},
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def _use(example, model_id):
    """Use a model; return its replica and whether the request loaded the model."""
    status, answer = _ask(example, model_id)
    assert status == 200, answer
    assert answer["answer"] == f"{model_id}: hello"
    return answer["replica"], answer["uses"] == 1


@pytest.fixture
def settled(example):
    """The maximum number of models, each loaded on one replica, used in this order."""

    def nothing_is_loaded():
        loaded = [_use(example, name)[1] for name in "abcd"]
        return not any(loaded)

    wait_until(nothing_is_loaded)
    return example


def test_a_model_stays_on_its_replica(settled):
    pids = {name: {_use(settled, name)[0]["pid"]} for name in "abcd"}
    for name in "abcd" * 10:
        replica, loaded = _use(settled, name)
        pids[name].add(replica["pid"])
        assert not loaded
    assert [len(seen) for seen in pids.values()] == [1] * 4
    placed = [pid for (pid,) in pids.values()]
    assert sorted(map(placed.count, set(placed))) == [2, 2]


def test_one_more_model_evicts_the_least_recently_used(settled):
    before = {}
    for name in "abcd":
        replica, _ = _use(settled, name)
        before[name] = replica
    replica, loaded = _use(settled, "e")
    assert loaded
    older, newer = [n for n in "abcd" if before[n]["pid"] == replica["pid"]]
    assert replica["evictions"] == before[newer]["evictions"] + 1
    assert replica["loads"] == before[newer]["loads"] + 1
    assert not _use(settled, newer)[1]
    assert _use(settled, older)[1]


@pytest.mark.parametrize("model_id", [None, ""])
def test_a_request_without_a_model_id_is_refused(example, model_id):
    status, answer = _ask(example, model_id)
    assert status == 400
    assert answer == {"error": "the header serve_multiplexed_model_id is missing"}


def test_the_header_may_contain_hyphens(settled):
    status, answer = _ask(settled, "e", header="serve-multiplexed-model-id")
    assert (status, answer["answer"]) == (200, "e: hello")
