"""reconfigure: a new `user_config` applies while the replicas keep serving."""

import json

import pytest
from load import Load
from project import wait_until

pytestmark = pytest.mark.ray


def test_a_new_user_config_applies_without_a_restart_and_no_request_is_lost(
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


@pytest.mark.long
def test_an_invalid_value_is_rolled_back_and_no_request_is_lost(example, folder):
    deploy(example, folder, threshold=0.5)
    with Load(example, "/reconfigure?score=0.7") as load:
        result = deploy(example, folder, threshold=1.9, code=6)
    refusal = "ValueError: threshold must be 0 to 1, not 1.9 (reconfigure.py:"
    assert refusal in result.stderr
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
