"""batching: requests that come together share one call of the model."""

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray
FOLDER = Path(__file__).parents[2] / "examples" / "batching"


def _ask(example, route, text):
    status, answer = example.get(f"/{route}?text={text}", timeout=30)
    assert status == 200, answer
    return json.loads(answer)


def _measure(example, route):
    """Requests per second of 16 clients, and what they got."""
    texts = ["x" * length for length in range(1, 33)]
    with ThreadPoolExecutor(16) as pool:
        start = time.monotonic()
        answers = list(pool.map(lambda text: _ask(example, route, text), texts))
        seconds = time.monotonic() - start
    # Whoever shares a call gets what is his.
    assert [answer["length"] for answer in answers] == list(map(len, texts))
    return len(texts) / seconds, {answer["batch"] for answer in answers}


def test_batches_give_three_times_the_throughput(example):
    unbatched, ones = _measure(example, "batching-not")
    batched, sizes = _measure(example, "batching")
    assert ones == {1}
    assert 1 < max(sizes) <= 16
    assert batched >= 3 * unbatched


def test_the_size_of_a_batch_changes_without_a_restart(example, tmp_path):
    pids = example.replica_pids("batching")
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "serve.yaml"
    file.write_text(file.read_text().replace("max_batch_size: 16", "max_batch_size: 4"))
    example.run("deploy", str(file))
    _, sizes = _measure(example, "batching")
    assert max(sizes) == 4
    assert example.replica_pids("batching") == pids


def test_one_request_alone_does_not_wait_for_others(example):
    assert _ask(example, "batching", "alone") == {"length": 5, "batch": 1}
