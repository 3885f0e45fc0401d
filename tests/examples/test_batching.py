"""batching: requests that arrive at about the same time share a model call."""

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray
FOLDER = Path(__file__).parents[2] / "examples" / "batching"


def _ask(example, route, text):
    status, answer = example.get(f"/{route}?text={text}")
    assert status == 200, answer
    return json.loads(answer)


def _measure(example, route):
    """Return the requests per second of 16 clients, and their batch sizes."""
    texts = ["x" * length for length in range(1, 33)]
    with ThreadPoolExecutor(16) as pool:
        start = time.monotonic()
        answers = list(pool.map(lambda text: _ask(example, route, text), texts))
        seconds = time.monotonic() - start
    # Each request of a batch gets its own result.
    assert [answer["length"] for answer in answers] == list(map(len, texts))
    return len(texts) / seconds, {answer["batch"] for answer in answers}


def test_batching_triples_the_throughput(example):
    unbatched, ones = _measure(example, "batching-not")
    batched, sizes = _measure(example, "batching")
    assert ones == {1}
    assert 1 < max(sizes) <= 16
    assert batched >= 3 * unbatched


def test_the_batch_size_changes_without_a_restart(example, tmp_path):
    pids = example.replica_pids("batching")
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "serve.yaml"
    file.write_text(file.read_text().replace("max_batch_size: 16", "max_batch_size: 4"))
    example.run("deploy", str(file))
    _, sizes = _measure(example, "batching")
    assert max(sizes) == 4
    assert example.replica_pids("batching") == pids


def test_a_single_request_is_a_batch_of_one(example):
    assert _ask(example, "batching", "alone") == {"length": 5, "batch": 1}
