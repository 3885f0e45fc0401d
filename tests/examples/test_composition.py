"""composition: a graph of deployments that call each other through handles."""

import json
import shutil
import time
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from project import wait_until

pytestmark = pytest.mark.ray
FOLDER = Path(__file__).parents[2] / "examples" / "composition"


def _ask(example, text):
    query = urllib.parse.urlencode({"text": text})
    status, answer = example.get(f"/composition?{query}")
    assert status == 200, answer
    return json.loads(answer)


def _pids(example):
    """Return the PIDs of the replicas of each deployment."""
    return {
        deployment["name"]: {r["pid"] for r in deployment["replicas"]}
        for deployment in example.application("composition")["deployments"]
    }


@pytest.mark.parametrize(
    ("text", "scores", "mean"),
    [
        ("  I  LOVE it! :)", [1, 1, 1], 1),
        ("I hate it", [-1, 0, 0], -1 / 3),
        ("great? :(", [1, -1, -1], -1 / 3),
    ],
)
def test_the_ensemble_is_the_mean_of_its_members(example, text, scores, mean):
    answer = _ask(example, text)
    members = [(o["model"], o["score"]) for o in answer["opinions"]]
    assert members == list(zip(["words", "marks", "emoji"], scores, strict=True))
    assert answer["score"] == pytest.approx(mean)


def test_the_members_receive_the_output_of_clean(example):
    words, _, _ = _ask(example, "I LOVE it")["opinions"]
    assert words["score"] == 1  # the model knows `love`, but not `LOVE`


def test_the_members_run_concurrently(example):
    def seconds():
        start = time.monotonic()
        _ask(example, "good")
        return time.monotonic() - start

    # In sequence, they would take at least this long, however fast the machine is.
    wait_until(lambda: seconds() < 3 * 0.5)


def test_every_replica_of_every_member_answers_requests(example):
    pids = _pids(example)
    assert {name: len(found) for name, found in pids.items()} == {
        "Ensemble": 1, "Clean": 1, "Words": 2, "Marks": 1, "Emoji": 1,
    }  # fmt: skip
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: _ask(example, "good"), range(12)))
    for index, name in enumerate(("Words", "Marks", "Emoji")):
        assert {a["opinions"][index]["pid"] for a in answers} == pids[name]


@pytest.mark.long
def test_scaling_one_deployment_leaves_the_others_unchanged(example, tmp_path):
    before = _pids(example)
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "serve.yaml"
    text = file.read_text()
    file.write_text(text.replace("Emoji, ", "Emoji, num_replicas: 2, "))
    example.run("deploy", str(file))
    after = wait_until(lambda: (p := _pids(example)) and len(p["Emoji"]) == 2 and p)
    assert after.pop("Emoji") > before.pop("Emoji")
    assert after == before
