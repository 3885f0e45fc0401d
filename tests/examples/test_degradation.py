"""degradation: no request stays without an answer, whatever the large model does."""

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
    status, text = example.get(f"/degradation?prompt={prompt}", timeout=20)
    return json.loads(text) if status == 200 else {"model": f"none: {status} {text}"}


class Load:
    """One request after the other, in the background, each with its answer."""

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
        """Wait for an answer like this among those that come from now on."""
        past = len(self.answers)
        wait_until(
            lambda: any(expected.items() <= a.items() for a in self.answers[past:])
        )


@pytest.fixture
def load(example):
    """Load before, during and after whatever a test does to the large model."""
    load = Load(example)
    try:
        load.wait_for(model="large")
        yield load
        load.wait_for(model="large")
    finally:
        load.end()
    assert {answer["model"] for answer in load.answers} <= {"large", "small"}


def test_the_large_model_is_killed(example, load):
    deployments = example.application("degradation")["deployments"]
    (large,) = [d["replicas"][0] for d in deployments if d["name"] == "Large"]
    os.kill(large["pid"], signal.SIGKILL)
    load.wait_for(model="small")


def test_the_large_model_is_full(example, load):
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: _ask(example), range(64)))
    by = Counter(answer["model"] for answer in answers)
    assert by["large"] + by["small"] == 64
    assert by["large"] > 0
    assert Counter(answer.get("because") for answer in answers)["full"] > 16


def test_the_large_model_fails(example, load):
    answer = _ask(example, "x" * 2000)
    assert answer["model"] == "small"
    assert "ValueError" in answer["because"]


def test_the_large_model_is_late_and_its_late_work_is_ended(example, load, tmp_path):
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    file = tmp_path / "serve.yaml"
    text = file.read_text()
    file.write_text(text.replace("seconds: 0.2", "seconds: 600"))
    example.run("deploy", str(file))
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: _ask(example), range(4)))
    assert Counter(answer["because"] for answer in answers)["late"] >= 2
    # Work that went on would hold both places for 600 s, and the large model with them.
    file.write_text(text)
    example.run("deploy", str(file))
