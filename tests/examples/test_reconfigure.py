"""reconfigure: a changed `user_config` reaches replicas that go on serving."""

import json

import pytest
from load import Load
from project import wait_until

pytestmark = pytest.mark.ray


def test_a_changed_user_config_reaches_the_same_replicas_and_no_request_is_lost(
    example, folder
):
    before = example.replica_pids("reconfigure")
    with Load(example, "/reconfigure?score=0.7") as load:
        wait_until(lambda: answers(load))
        deploy(example, folder, threshold=0.9)
        behind = len(load.answers)
        wait_until(lambda: len(load.answers) > behind + 10)
        latest = [json.loads(example.get(load.path)[1]) for _ in range(10)]
    assert load.lost == []
    assert answers(load) == {(0.5, True), (0.9, False)}
    assert {(a["threshold"], a["positive"]) for a in latest} == {(0.9, False)}
    assert example.replica_pids("reconfigure") == before
    assert {json.loads(text)["pid"] for text in load.answers} == before


def test_a_value_that_reconfigure_refuses_goes_back_and_no_request_is_lost(
    example, folder
):
    deploy(example, folder, threshold=0.5)
    with Load(example, "/reconfigure?score=0.7") as load:
        result = deploy(example, folder, threshold=1.9, code=6)
    assert "ValueError: threshold 1.9 is not in 0..1 (reconfigure.py:" in result.stderr
    assert load.lost == []
    assert answers(load) == {(0.5, True)}


def deploy(example, folder, *, threshold: float, code: int = 0):
    file = folder / "serve.yaml"
    before, key, _ = file.read_text().partition("threshold: ")
    file.write_text(f"{before}{key}{threshold}}}\n")
    return example.run("deploy", str(file), code=code)


def answers(load) -> set[tuple[float, bool]]:
    found = [json.loads(text) for text in load.answers]
    return {(answer["threshold"], answer["positive"]) for answer in found}
