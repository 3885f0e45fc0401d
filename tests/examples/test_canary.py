"""canary: what the README says, on a copy whose version changes."""

import shutil
import signal

import pytest
from load import Load
from project import wait_until

pytestmark = pytest.mark.ray

STEPS = ("--canary", "20,100", "--step", "6s")
NAMES = {"canary", "canary-model"}


@pytest.fixture(scope="module")
def copy(stack, examples_folder):
    """The example in a folder of its own; `version` writes another version of it."""
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


def test_a_good_version_takes_over_in_steps_and_nothing_is_lost(stack, copy):
    change(copy, '"v1"', '"v2"')
    with Load(stack, "/canary") as load:
        told = stack.run("deploy", str(copy / "serve.yaml"), *STEPS).stderr
    assert load.lost == []
    assert "20 %: new" in told
    assert "100 %: new" in told
    assert load.count("v1") > 100
    assert load.count("v2") > 100
    assert stack.get("/canary") == (200, "v2")
    assert stack.get("/canary-model") == (200, "v2")
    assert names(stack) == NAMES


def test_a_bad_version_goes_back_and_few_have_seen_it(stack, copy):
    change(copy, "return VERSION", "raise RuntimeError(VERSION)")
    with Load(stack, "/canary") as load:
        failed = stack.run("deploy", str(copy / "serve.yaml"), *STEPS, code=6)
    change(copy, "raise RuntimeError(VERSION)", "return VERSION")
    assert "at 20 %" in failed.stderr
    assert "requests failed, of the old version 0 of" in failed.stderr
    assert 0 < len(load.lost) < len(load.answers) * 0.4
    assert stack.get("/canary") == (200, "v2")
    assert names(stack) == NAMES


def test_without_traffic_there_is_no_judgement_and_no_new_version(stack, copy):
    change(copy, '"v2"', '"v3"')
    failed = stack.run("deploy", str(copy / "serve.yaml"), *STEPS, code=6)
    assert "no data to judge by" in failed.stderr
    assert stack.get("/canary") == (200, "v2")


def test_blue_green_moves_all_traffic_at_once(stack, copy):
    with Load(stack, "/canary") as load:
        stack.run("deploy", str(copy / "serve.yaml"), "--blue-green", "--step", "6s")
    assert load.lost == []
    versions = load.answers
    moved = versions.index("v3")
    # Answers come back a little out of order.
    assert set(versions[: moved - 20]) == {"v2"}
    assert set(versions[moved + 20 :]) == {"v3"}
    assert names(stack) == NAMES


def test_a_canary_that_is_killed_gives_the_traffic_back_by_itself(stack, copy):
    change(copy, '"v3"', '"v4"')
    file = str(copy / "serve.yaml")
    with Load(stack, "/canary") as load:
        killed = stack.start("deploy", file, "--canary", "50,100", "--step", "60s")
        wait_until(lambda: load.count("v4") > 5, seconds=60)
        second = stack.run("deploy", file, *STEPS, code=5)
        assert "is being deployed by" in second.stderr
        plain = stack.run("deploy", file, code=5)
        assert "is being deployed by" in plain.stderr
        assert second.stdout + plain.stdout == ""  # no plan of what the canary did
        deleted = stack.run("delete", "canary-model", code=5)
        assert "is being deployed by" in deleted.stderr
        shifted = stack.run("traffic", "canary", "canary-model=3", code=5)
        assert "is being deployed by" in shifted.stderr
        killed.kill()
        killed.communicate()
        wait_until(lambda: _last(load, 20) == {"v3"}, seconds=40)
        assert "was cut off" in stack.run("status", code=1).stdout
        told = stack.run("traffic", "canary").stderr
    assert "putting canary-model back" in told
    assert load.lost == []
    assert names(stack) == NAMES
    stack.run("status")


def test_an_interrupted_canary_gives_the_traffic_back_at_once(stack, copy):
    with Load(stack, "/canary") as load:
        running = stack.start(
            "deploy", str(copy / "serve.yaml"), "--canary", "50,100", "--step", "60s"
        )
        wait_until(lambda: load.count("v4") > 5, seconds=60)
        running.send_signal(signal.SIGINT)
        told = running.communicate(timeout=60)[1]
        assert running.returncode == 130, told
        wait_until(lambda: _last(load, 10) == {"v3"}, seconds=5)
    assert load.lost == []
    assert names(stack) == NAMES
    stack.run("status")


def test_a_canary_needs_an_old_version_and_a_splitter(stack, copy):
    stack.write_app("plain")
    app = {
        "name": "plain",
        "route_prefix": "/plain",
        "runtime_env": {"working_dir": "plain"},
        "deployments": [{"name": "Hello", "ray_actor_options": {"num_cpus": 0.1}}],
    }
    stack.write_serve("plain.yaml", app)
    new = stack.run("deploy", "plain.yaml", "--canary", "100", code=3)
    assert "no old version serves" in new.stderr
    stack.run("deploy", "plain.yaml")
    stack.write_app("plain", version="v2")
    alone = stack.run("deploy", "plain.yaml", "--canary", "100", code=3)
    assert "one splitter must stand in front of it, and there is none" in alone.stderr
    assert stack.get("/plain")[1].startswith("v1")
    stack.run("delete", "plain")


def _last(load, count):
    return set(load.answers[-count:])
