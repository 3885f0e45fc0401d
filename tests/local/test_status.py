"""`raylift status` and `logs` on real Ray: the truth, also when Ray does not say it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import time
import uuid

import psutil
import pytest
from project import wait_until

pytestmark = pytest.mark.ray

TALKATIVE = """
import logging
from ray import serve

@serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 0.1})
class Talkative:
    def __call__(self, request):
        logging.getLogger("ray.serve").info("asked for %s", request.query_params["q"])
        return "said"

app = Talkative.bind()
"""


@pytest.fixture(scope="module")
def talkative(up):
    up.write("app/talk.py", TALKATIVE)
    up.write_serve(
        "serve.yaml",
        {
            "name": "talk",
            "route_prefix": "/talk",
            "import_path": "talk:app",
            "runtime_env": {"working_dir": "app"},
        },
    )
    up.run("deploy")
    return up


def test_status_of_a_healthy_stack_is_zero_and_names_all_parts(talkative):
    shown = talkative.run("status").stdout
    for part in ("answers", "head", "HEALTHY", "talk", "/talk", "RUNNING"):
        assert part in shown
    status = talkative.status()
    assert status["version"] == 1
    assert status["healthy"]
    replicas = status["applications"][0]["deployments"][0]["replicas"]
    assert [r["state"] for r in replicas] == ["RUNNING", "RUNNING"]


def test_logs_are_merged_over_replicas_in_the_order_of_time(talkative):
    for number in range(12):
        talkative.get(f"/talk?q=n{number}")
    lines = [
        json.loads(line)
        for line in talkative.run(
            "logs", "talk", "Talkative", "--json"
        ).stdout.splitlines()
    ]
    asked = [line for line in lines if "asked for n" in line["text"]]
    assert [line["text"] for line in asked] == [f"asked for n{n}" for n in range(12)]
    assert len({line["source"] for line in asked}) == 2
    assert len({line["request_id"] for line in asked} - {""}) == 12
    assert [line["time"] for line in lines] == sorted(line["time"] for line in lines)


def test_following_logs_shows_a_line_when_it_comes(talkative):
    following = talkative.start("logs", "--follow", "--lines", "0")
    try:
        time.sleep(2)
        talkative.get("/talk?q=later")
        for line in following.stdout:
            if "asked for later" in line:
                break
    finally:
        following.send_signal(signal.SIGINT)
    following.communicate(timeout=10)
    assert following.returncode == 130


def test_a_log_of_an_unknown_application_names_the_near_one(talkative):
    result = talkative.run("logs", "tolk", code=2)
    assert "did you mean talk?" in result.stderr


def test_watching_shows_replicas_come_and_go(talkative):
    watching = talkative.start("status", "--watch")
    talkative.write("app/talk.py", TALKATIVE + "\n# another version\n")
    talkative.run("deploy")
    time.sleep(1)
    watching.send_signal(signal.SIGINT)
    shown, _ = watching.communicate(timeout=10)
    assert watching.returncode == 130
    assert "STARTING" in shown
    assert "STOPPING" in shown


def test_a_killed_haproxy_is_unhealthy_at_once_though_ray_says_healthy(talkative):
    for process in talkative.processes():
        if process.name() == "haproxy":
            process.kill()
    result = talkative.run("status", code=1)
    assert "the data plane does not answer" in result.stdout
    wait_until(lambda: talkative.get("/talk?q=x")[0] == 200, seconds=40)
    wait_until(lambda: talkative.status()["healthy"], seconds=20)


def test_a_dead_dashboard_is_told_within_seconds(talkative):
    dashboard = next(
        p
        for p in talkative.processes()
        if "dashboard/dashboard.py" in " ".join(p.cmdline())
    )
    dashboard.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        result = talkative.run("status", code=4)
        assert time.monotonic() - began < 15
    finally:
        dashboard.send_signal(signal.SIGCONT)
    assert "does not answer" in result.stderr
    assert talkative.get("/talk?q=x")[0] == 200


def test_status_of_a_stack_that_is_not_up_is_three(project):
    assert "is not up" in project.run("status", code=3).stderr


def test_a_cluster_of_another_ray_is_told_before_anything_is_sent(talkative):
    path = talkative.state_dir / "state.json"
    right = path.read_text()
    try:
        path.write_text(right.replace('"2.60.0"', '"2.55.1"'))
        result = talkative.run("deploy", code=3)
        assert "the cluster runs Ray 2.55.1" in result.stderr
        assert "Ray 2.55.1 to 2.60.0" in talkative.run("up", code=3).stderr
    finally:
        path.write_text(right)


def test_output_into_a_closed_pipe_ends_quietly(talkative):
    command = f"'{talkative_raylift()}' logs --lines 1000 | head -1"
    result = subprocess.run(
        ["sh", "-c", command],
        cwd=talkative.root, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "RAYLIFT_STACK": talkative.stack},
    )  # fmt: skip
    assert result.stderr == ""


def talkative_raylift() -> str:
    from project import RAYLIFT

    return RAYLIFT


def test_reading_commands_start_no_process_that_stays(talkative):
    marked = {"RAYLIFT_TEST_READING": uuid.uuid4().hex}
    reading = dataclasses.replace(talkative, environment=marked)
    reading.run("status")
    reading.run("logs")
    assert [p.name() for p in psutil.process_iter() if _carries(p, marked)] == []


def _carries(process, marked):
    try:
        return marked.items() <= process.environ().items()
    except psutil.Error:  # it has ended, or is not ours to look at
        return False
