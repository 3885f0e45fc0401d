"""degradation: every request gets a response, whatever happens to the large model."""

import json
import os
import shutil
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from project import wait_until

pytestmark = pytest.mark.ray
FOLDER = Path(__file__).parents[2] / "examples" / "degradation"


def _ask(example, prompt="hello"):
    status, text = example.get(f"/degradation?prompt={prompt}")
    return json.loads(text) if status == 200 else {"model": f"none: {status} {text}"}


class Load:
    """Consecutive requests in the background, and their answers."""

    def __init__(self, example):
        self._example = example
        self._over = threading.Event()
        self.answers = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._over.wait(0.02):
            self.answers.append(_ask(self._example))

    def end(self):
        self._over.set()
        self._thread.join()

    def wait_for(self, **expected):
        """Wait for a later answer that contains these items."""
        past = len(self.answers)
        wait_until(
            lambda: any(expected.items() <= a.items() for a in self.answers[past:])
        )


@pytest.fixture
def load(example):
    """Load before, during and after the fault that a test causes in the large model."""
    load = Load(example)
    try:
        load.wait_for(model="large")
        yield load
        load.wait_for(model="large")
    finally:
        load.end()
    assert {answer["model"] for answer in load.answers} <= {"large", "small"}


def test_the_small_model_answers_if_the_large_one_is_killed(example, load):
    deployments = example.application("degradation")["deployments"]
    (large,) = [d["replicas"][0] for d in deployments if d["name"] == "Large"]
    os.kill(large["pid"], signal.SIGKILL)
    load.wait_for(model="small")


@pytest.mark.long
def test_the_small_model_answers_if_the_large_one_is_full(example, load):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: _ask(example), range(64)))
    by = Counter(answer["model"] for answer in answers)
    assert by["large"] + by["small"] == 64
    assert by["large"] > 0
    assert Counter(answer.get("because") for answer in answers)["full"] > 16


@pytest.mark.long
def test_the_small_model_answers_if_the_large_one_fails(example, load):
    answer = _ask(example, "x" * 2000)
    assert answer["model"] == "small"
    assert "ValueError" in answer["because"]


def test_the_small_model_answers_if_the_large_one_is_late(example, load, tmp_path):
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "serve.yaml"
    text = file.read_text()
    file.write_text(text.replace("seconds: 0.2", "seconds: 600"))
    example.run("deploy", str(file))
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: _ask(example), range(4)))
    assert Counter(answer["because"] for answer in answers)["late"] >= 2
    # Late calls that were not cancelled would block the large model for 600 s.
    file.write_text(text)
    example.run("deploy", str(file))
