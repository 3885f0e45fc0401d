"""canary: the steps of the README, on a copy whose version changes."""

import shutil
import signal

import pytest
from load import Load
from project import COMMAND_SECONDS, wait_until

pytestmark = pytest.mark.ray

STEPS = ("--canary", "20,100", "--step", "6s")
NAMES = {"canary", "canary-model"}


@pytest.fixture(scope="module")
def copy(stack, examples_folder):
    """A copy of the example's folder, deployed; `change` edits its code."""
    folder = stack.root / "canary"
    shutil.copytree(examples_folder / "canary", folder)
    stack.run("deploy", str(folder / "serve.yaml"))
    yield folder
    stack.run("delete", *NAMES)


def change(folder, before, after):
    file = folder / "app" / "model.py"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after))


def names(stack):
    return NAMES & set(stack.names()) | {n for n in stack.names() if "-canary" in n}


def test_a_good_version_takes_over_in_steps_and_no_request_is_lost(stack, copy):
    change(copy, '"v1"', '"v2"')
    with Load(stack, "/canary") as load:
        told = stack.run("deploy", str(copy / "serve.yaml"), *STEPS).stderr
    assert load.lost == []
    assert "20%: new" in told
    assert "100%: new" in told
    assert load.count("v1") > 100
    assert load.count("v2") > 100
    assert stack.get("/canary") == (200, "v2")
    assert stack.get("/canary-model") == (200, "v2")
    assert names(stack) == NAMES


def test_a_failing_version_is_rolled_back_and_few_requests_fail(stack, copy):
    change(copy, "return VERSION", "raise RuntimeError(VERSION)")
    with Load(stack, "/canary") as load:
        failed = stack.run("deploy", str(copy / "serve.yaml"), *STEPS, code=6)
    change(copy, "raise RuntimeError(VERSION)", "return VERSION")
    assert "at 20%" in failed.stderr
    assert "requests failed (old version: 0 of" in failed.stderr
    assert 0 < len(load.lost) < len(load.answers) * 0.4
    assert stack.get("/canary") == (200, "v2")
    assert names(stack) == NAMES


@pytest.mark.long
def test_without_traffic_the_canary_fails_and_the_old_version_stays(stack, copy):
    change(copy, '"v2"', '"v3"')
    failed = stack.run("deploy", str(copy / "serve.yaml"), *STEPS, code=6)
    assert "no requests reached the new version" in failed.stderr
    assert stack.get("/canary") == (200, "v2")


@pytest.mark.long
def test_blue_green_moves_all_traffic_at_once(stack, copy):
    with Load(stack, "/canary") as load:
        stack.run("deploy", str(copy / "serve.yaml"), "--blue-green", "--step", "6s")
    assert load.lost == []
    old = [answer.sent for answer in load.done if answer.text == "v2"]
    new = [answer.answered for answer in load.done if answer.text == "v3"]
    assert len(old) + len(new) == len(load.answers)
    assert max(old) - min(new) < 1  # no later request went to the old version
    assert names(stack) == NAMES


@pytest.mark.long
def test_after_a_killed_canary_the_old_version_gets_all_traffic(stack, copy):
    change(copy, '"v3"', '"v4"')
    file = str(copy / "serve.yaml")
    with Load(stack, "/canary") as load:
        killed = stack.start("deploy", file, "--canary", "50,100", "--step", "900s")
        wait_until(lambda: load.count("v4") > 5)
        second = stack.run("deploy", file, *STEPS, code=5)
        assert "is being deployed by" in second.stderr
        plain = stack.run("deploy", file, code=5)
        assert "is being deployed by" in plain.stderr
        assert second.stdout + plain.stdout == ""  # no plan is printed
        deleted = stack.run("delete", "canary-model", code=5)
        assert "is being deployed by" in deleted.stderr
        shifted = stack.run("traffic", "canary", "canary-model=3", code=5)
        assert "is being deployed by" in shifted.stderr
        killed.kill()
        killed.communicate()
        wait_until(lambda: _last(load, 20) == {"v3"})
        assert "was interrupted" in stack.run("status", code=1).stdout
        shown = stack.run("traffic", "canary").stderr
        assert "rolling back" not in shown  # it only shows
        told = stack.run("traffic", "canary", "canary-model=100").stderr
    assert "rolling back canary-model" in told
    assert load.lost == []
    assert names(stack) == NAMES
    stack.run("status")


@pytest.mark.long
def test_after_an_interrupted_canary_the_old_version_gets_all_traffic(stack, copy):
    with Load(stack, "/canary") as load:
        running = stack.start(
            "deploy", str(copy / "serve.yaml"), "--canary", "50,100", "--step", "900s"
        )
        wait_until(lambda: load.count("v4") > 5)
        running.send_signal(signal.SIGINT)
        told = running.communicate(timeout=COMMAND_SECONDS)[1]
        assert running.returncode == 130, told
        assert {stack.get("/canary")[1] for _ in range(10)} == {"v3"}
    assert load.lost == []
    assert names(stack) == NAMES
    stack.run("status")


@pytest.mark.long
def test_a_canary_requires_an_old_version_and_a_splitter(stack, copy):
    stack.write_app("plain")
    app = {
        "name": "plain",
        "route_prefix": "/plain",
        "runtime_env": {"working_dir": "plain"},
        "deployments": [{"name": "Hello", "ray_actor_options": {"num_cpus": 0.1}}],
    }
    stack.write_serve("plain.yaml", app)
    new = stack.run("deploy", "plain.yaml", "--canary", "100", code=3)
    assert "needs a running version to compare with" in new.stderr
    stack.run("deploy", "plain.yaml")
    stack.write_app("plain", version="v2")
    alone = stack.run("deploy", "plain.yaml", "--canary", "100", code=3)
    assert "needs exactly one splitter that routes to it; found none" in alone.stderr
    assert stack.get("/plain")[1].startswith("v1")
    stack.run("delete", "plain")


def _last(load, count):
    return set(load.answers[-count:])
