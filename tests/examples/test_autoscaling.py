"""autoscaling: Ray or an external scaler sets the number of replicas."""

import json
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from project import wait_until

pytestmark = pytest.mark.ray


def _running(example, name):
    (deployment,) = example.application(name)["deployments"]
    return sum(r["state"] == "RUNNING" for r in deployment["replicas"])


class Clients:
    """Clients that send requests in a loop and append each response to `answers`."""

    def __init__(self, example, count, answers):
        self._example = example
        self._over = threading.Event()
        self._answers = answers
        self._pool = ThreadPoolExecutor(count)
        for _ in range(count):
            self._pool.submit(self._ask)

    def _ask(self):
        while not self._over.is_set():
            self._answers.append(self._example.get("/autoscaling"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._over.set()
        self._pool.shutdown()


def test_replicas_follow_the_load_between_minimum_and_maximum(example):
    answers, counts = [], []

    def wait_for(count):
        def seen():
            counts.append(_running(example, "autoscaling"))
            return counts[-1] == count

        wait_until(seen, every=0.5)

    wait_for(0)
    with Clients(example, 12, answers):  # without a maximum, Ray would start 6
        wait_for(3)
        past = len(answers)
        wait_until(lambda: len({text for _, text in answers[past:]}) == 3)
    with Clients(example, 1, answers):
        wait_for(1)
    wait_for(0)
    answers.append(example.get("/autoscaling"))  # starts a replica
    assert max(counts) == 3
    assert {status for status, _ in answers} == {200}


@pytest.mark.long
def test_an_external_scaler_sets_the_number_of_replicas(example):
    url = json.loads(example.run("up", "--json").stdout)["dashboard_url"]
    token = (example.state_dir / "token").read_text().strip()

    def scale(application, replicas):
        request = urllib.request.Request(
            f"{url}/api/v1/applications/{application}/deployments/Model/scale",
            data=json.dumps({"target_num_replicas": replicas}).encode(),
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request) as response:
                return response.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def scales_to(replicas):
        assert scale("autoscaling-external", replicas) == 200
        wait_until(lambda: _running(example, "autoscaling-external") == replicas)

    scales_to(2)
    scales_to(1)
    assert scale("autoscaling", 2) == 412  # Ray scales this application
