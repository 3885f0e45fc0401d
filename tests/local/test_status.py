"""`raylift status` and `logs` on real Ray, with faults that Ray does not report."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
import subprocess
import urllib.request
import uuid

import psutil
import pytest
import ray
from load import Load
from project import (
    COMMAND_SECONDS,
    RAYLIFT,
    default_signals,
    lines_until_interrupt,
    wait_until,
)

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


def test_status_of_a_healthy_stack_exits_with_0_and_names_all_parts(talkative):
    shown = talkative.run("status").stdout
    for part in ("responding", "head", "HEALTHY", "talk", "/talk", "RUNNING"):
        assert part in shown
    status = talkative.status()
    assert status["version"] == 1
    assert status["healthy"]
    replicas = status["applications"][0]["deployments"][0]["replicas"]
    assert [r["state"] for r in replicas] == ["RUNNING", "RUNNING"]


def test_logs_of_replicas_are_merged_by_time(talkative):
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


@pytest.mark.long
def test_logs_follow_shows_new_lines(talkative):
    following = talkative.start("logs", "--follow", "--lines", "0")
    # Repeat the request, because nothing shows when the command starts to follow.
    with (
        lines_until_interrupt(following) as lines,
        Load(talkative, "/talk?q=later", rate=2),
    ):
        wait_until(lambda: any("asked for later" in line for line in lines))
    assert following.returncode == 130


def test_logs_of_an_unknown_application_suggest_a_similar_name(talkative):
    result = talkative.run("logs", "tolk", code=2)
    assert "did you mean talk?" in result.stderr


def test_open_passes_on_requests_to_applications_and_to_the_dashboard(talkative):
    with lines_until_interrupt(talkative.start("open", "talk")) as lines:
        wait_until(lambda: lines)
        with urllib.request.urlopen(f"{lines[0].split()[-1]}?q=open") as response:
            assert response.read() == b"said"
    with lines_until_interrupt(talkative.start("open", "--dashboard")) as lines:
        wait_until(lambda: lines)
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        url = lines[0].split()[-1]
        with browser.open(url) as page:
            assert b"<title>Ray Dashboard</title>" in page.read()
        with browser.open(url.partition("?")[0] + "api/version") as response:
            assert json.load(response)["ray_version"] == ray.__version__
    assert "did you mean talk?" in talkative.run("open", "tolk", code=2).stderr


@pytest.mark.long
def test_status_watch_shows_replicas_start_and_stop(talkative):
    watching = talkative.start("status", "--watch")
    with lines_until_interrupt(watching) as lines:
        wait_until(lambda: lines)
        talkative.write("app/talk.py", TALKATIVE + "\n# another version\n")
        talkative.run("deploy")
        for state in ("STARTING", "STOPPING"):
            wait_until(lambda state=state: any(state in line for line in lines))
    assert watching.returncode == 130


def test_status_reports_a_killed_haproxy_although_ray_reports_healthy(talkative):
    # Ray restarts HAProxy within seconds, on a busy machine before the next kill.
    wait_until(lambda: _status_without_haproxy(talkative))
    wait_until(lambda: talkative.get("/talk?q=x")[0] == 200)
    wait_until(lambda: talkative.status()["healthy"])


def _status_without_haproxy(project) -> bool:
    """Kill HAProxy while `status` runs; return whether `status` reports the outage."""
    looking = project.start("status")
    while looking.poll() is None:
        for process in project.processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                if process.name() == "haproxy":
                    process.kill()
    shown, _ = looking.communicate()
    return looking.returncode == 1 and "Serve does not respond" in shown


@pytest.mark.long
def test_a_hung_dashboard_is_reported_once_its_health_check_fails(talkative):
    dashboard = next(
        p
        for p in talkative.processes()
        if "dashboard/dashboard.py" in " ".join(p.cmdline())
    )
    dashboard.send_signal(signal.SIGSTOP)
    try:
        result = talkative.run("status", code=4, timeout=90)
    finally:
        dashboard.send_signal(signal.SIGCONT)
    assert "waiting for Ray's dashboard (5 s)" in result.stderr
    assert "its health check fails" in result.stderr
    assert talkative.get("/talk?q=x")[0] == 200


def test_status_of_a_stack_that_is_not_up_exits_with_3(project):
    assert "is not up" in project.run("status", code=3).stderr


def test_another_ray_version_is_reported_before_anything_is_sent(talkative):
    path = talkative.state_dir / "state.json"
    right = path.read_text()
    try:
        path.write_text(right.replace('"2.60.0"', '"2.55.1"'))
        result = talkative.run("deploy", code=3)
        assert "the cluster runs Ray 2.55.1" in result.stderr
        assert "Ray version 2.55.1 → 2.60.0" in talkative.run("up", code=3).stderr
    finally:
        path.write_text(right)


def test_output_to_a_closed_pipe_prints_no_error(talkative):
    command = f"'{RAYLIFT}' logs --lines 1000 | head -1"
    result = subprocess.run(
        ["sh", "-c", command],
        cwd=talkative.root, capture_output=True, text=True, check=False,
        timeout=COMMAND_SECONDS, preexec_fn=default_signals,
        env={**os.environ, "RAYLIFT_STACK": talkative.stack},
    )  # fmt: skip
    assert result.stderr == ""


def test_read_only_commands_leave_no_process(talkative):
    marked = {"RAYLIFT_TEST_READING": uuid.uuid4().hex}
    reading = dataclasses.replace(talkative, environment=marked)
    reading.run("status")
    reading.run("logs")
    assert [p.name() for p in psutil.process_iter() if _carries(p, marked)] == []


def _carries(process, marked):
    try:
        return marked.items() <= process.environ().items()
    except psutil.Error:  # the process has ended, or access is denied
        return False
