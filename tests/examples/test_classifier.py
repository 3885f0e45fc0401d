"""classifier: a class deployment that loads a model and runs on a GPU node."""

import csv
import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray
FOLDER = Path(__file__).parents[2] / "examples" / "classifier"


def _ask(example, flowers):
    url = f"http://127.0.0.1:{example.ports['serve']}/classifier"
    with urllib.request.urlopen(url, json.dumps(flowers).encode()) as response:
        return json.load(response)


def test_the_model_classifies_held_out_flowers(example):
    with (FOLDER / "iris.csv").open() as file:
        held_out = list(csv.reader(file))[1::5]
    flowers = [[float(length) for length in row[:4]] for row in held_out]
    found = _ask(example, flowers)["species"]
    names = ("setosa", "versicolor", "virginica")
    right = sum(
        name == names[int(row[4])] for name, row in zip(found, held_out, strict=True)
    )
    assert len(found) == 30
    assert right >= 28


@pytest.mark.long
def test_train_writes_the_committed_model(tmp_path):
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "app" / "iris.json").unlink()
    subprocess.run([sys.executable, tmp_path / "train.py"], check=True)
    made = json.loads((tmp_path / "app" / "iris.json").read_text())
    shipped = json.loads((FOLDER / "app" / "iris.json").read_text())
    assert made["species"] == shipped["species"]
    assert made["bias"] == pytest.approx(shipped["bias"])
    for ours, theirs in zip(made["weights"], shipped["weights"], strict=True):
        assert ours == pytest.approx(theirs)


@pytest.mark.long
def test_two_replicas_share_the_gpu_of_the_gpu_node(example):
    status = example.status()
    l4 = [n["node_id"] for n in status["nodes"] if n["labels"].get("accelerator")]
    (deployment,) = example.application("classifier")["deployments"]
    assert [r["state"] for r in deployment["replicas"]] == ["RUNNING"] * 2
    assert [r["node_id"] for r in deployment["replicas"]] == l4 * 2

    # The node has one GPU and two `fast`; the two replicas reserve all of them.
    answers = [_ask(example, [[5.1, 3.5, 1.4, 0.2]]) for _ in range(10)]
    holds = {"CPU": 1, "GPU": 0.5, "memory": 256 << 20, "fast": 1}
    assert {tuple(answer["gpus"]) for answer in answers} == {("0",)}
    assert [answer["holds"] for answer in answers] == [holds] * 10
