"""`raylift deploy` and `delete APP` on real Ray: merge, roll back, drain, conflict."""

from __future__ import annotations

import json
import signal
import threading
import urllib.request

import pytest
from project import ANSWER_SECONDS, COMMAND_SECONDS, WAIT_SECONDS, wait_until

pytestmark = pytest.mark.ray

STUCK = """
import time
from ray import serve
@serve.deployment
class Hello:
    def __init__(self):
        self.load()
    def load(self):
        time.sleep(600)
    def __call__(self, request):
        return "never"
app = Hello.bind()
"""
STREAM = """
import asyncio
from ray import serve
from starlette.responses import StreamingResponse

@serve.deployment
class Hello:
    async def ticks(self):
        for number in range(100000):
            yield f"{number}\\n"
            await asyncio.sleep(1)
    def __call__(self, request):
        return StreamingResponse(self.ticks())

app = Hello.bind()
"""

MUTE = """
from ray import serve

@serve.deployment
class Hello:
    def Translate(self, message):
        return message

app = Hello.bind()
"""


def _app(name: str, folder: str, **more) -> dict:
    return {
        "name": name,
        "route_prefix": f"/{name}",
        "runtime_env": {"working_dir": folder},
        "deployments": [{"name": "Hello", "ray_actor_options": {"num_cpus": 0.1}}],
        **more,
    }


@pytest.fixture(scope="module")
def two(up):
    """Applications a and b, deployed separately."""
    for name in ("a", "b"):
        up.write_app(name)
        up.write_serve(f"{name}.yaml", _app(name, name))
        up.run("deploy", f"{name}.yaml")
    return up


@pytest.fixture
def stuck(two):
    """A Serve config with a version of application a that never starts."""
    two.write_app("stuck", code=STUCK)
    two.write_serve("stuck.yaml", _app("a", "stuck"))
    return "stuck.yaml"


@pytest.fixture(scope="module", autouse=True)
def stream(two):
    """A response that streams during all updates, reloads and faults of the module.

    With Ray's defaults, such a stream ends 120 s after HAProxy reloads (ray#66056).
    """
    two.write_app("stream", code=STREAM)
    two.write_serve("stream.yaml", _app("stream", "stream"))
    two.run("deploy", "stream.yaml")
    lines: list[str] = []
    url = f"http://127.0.0.1:{two.ports['serve']}/stream"
    stop = threading.Event()

    def read() -> None:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS) as response:
            for line in response:
                lines.append(line.decode())
                if stop.is_set():
                    return
        lines.append("ended early")

    reader = threading.Thread(target=read)
    reader.start()
    yield
    assert reader.is_alive()
    past = len(lines)
    wait_until(lambda: len(lines) > past)  # it still streams
    stop.set()
    reader.join(timeout=ANSWER_SECONDS)
    assert [int(line) for line in lines] == list(range(len(lines)))


def test_a_deployed_application_answers_at_the_printed_address(two):
    address = f"http://127.0.0.1:{two.ports['serve']}/a"
    two.write_app("a", version="v1b")
    result = two.run("deploy", "a.yaml")
    assert f"a is available at {address}" in result.stdout
    assert two.get("/a")[1].startswith("v1b ")


def test_deploying_the_same_file_again_is_a_no_op(two):
    before = sorted(p.name for p in two.state_dir.rglob("*") if p.is_file())
    pids = two.replica_pids("a")
    result = two.run("deploy", "a.yaml", "--json")
    plan = json.loads(result.stdout)
    assert plan["release"] is None
    assert plan["sent_bytes"] == 0
    assert [c["action"] for c in plan["changes"]] == ["unchanged"]
    assert sorted(p.name for p in two.state_dir.rglob("*") if p.is_file()) == before
    assert two.replica_pids("a") == pids


def test_a_grpc_only_ingress_requires_a_servicer(two):
    two.write_app("mute", code=MUTE)
    two.write_serve("mute.yaml", _app("mute", "mute"))
    refused = two.run("deploy", "mute.yaml", code=2)
    assert "Hello has no __call__ and no @serve.ingress" in refused.stderr
    assert "grpc_options has no grpc_servicer_functions" in refused.stderr
    assert "mute" not in two.names()


def test_deploying_one_application_does_not_affect_other_replicas(two):
    pids = two.replica_pids("b")
    two.write_app("a", version="v2")
    two.run("deploy", "a.yaml")
    assert two.get("/a")[1].startswith("v2 ")
    assert two.replica_pids("b") == pids


@pytest.mark.long
def test_only_changed_code_creates_a_new_version(two):
    two.write_app("a", version="v3")
    assert "~ change a" in two.run("deploy", "a.yaml").stdout
    assert "= unchanged a" in two.run("deploy", "a.yaml").stdout


def test_a_constructor_error_rolls_back_and_names_the_line(two):
    pids = two.replica_pids("a")
    code = """
from ray import serve
@serve.deployment
class Hello:
    def __init__(self):
        raise ValueError("no weights at /models/x")
app = Hello.bind()
"""
    two.write_app("broken", code=code)
    two.write_serve("broken.yaml", _app("a", "broken"))
    result = two.run("deploy", "broken.yaml", code=6)
    assert "ValueError: no weights at /models/x (hello.py:" in result.stderr
    assert "rolled back: a is serving the last good version" in result.stderr
    assert two.get("/a")[0] == 200
    assert two.replica_pids("a") == pids
    assert two.status()["healthy"]


def test_an_import_error_rolls_back_and_names_the_line(two):
    two.write("noimport/hello.py", "import no_such_library\napp = None\n")
    two.write_serve("noimport.yaml", _app("a", "noimport", deployments=[]))
    result = two.run("deploy", "noimport.yaml", code=6)
    assert "No module named 'no_such_library' (hello.py:1)" in result.stderr
    assert two.get("/a")[0] == 200


@pytest.mark.long
def test_a_new_application_that_fails_is_deleted(two):
    two.write_serve("new.yaml", _app("new", "noimport", deployments=[]))
    result = two.run("deploy", "new.yaml", code=6)
    assert "deleted new (new in this release)" in result.stderr
    assert "new" not in {a["name"] for a in two.status()["applications"]}


@pytest.mark.long
def test_a_stuck_constructor_rolls_back_at_the_deadline_and_names_the_line(two, stuck):
    seconds = f"{15 + 5 * two.slowness():.0f}"
    result = two.run("deploy", stuck, "--timeout", seconds, code=6)
    assert "still in its constructor at Hello.load (hello.py:" in result.stderr
    assert two.get("/a")[0] == 200


@pytest.mark.long
def test_a_failing_health_check_rolls_back(two):
    code = """
from ray import serve
@serve.deployment(health_check_period_s=1, health_check_timeout_s=2)
class Hello:
    def check_health(self):
        raise RuntimeError("the model lost its GPU")
    def __call__(self, request):
        return "never"
app = Hello.bind()
"""
    two.write_app("sick", code=code)
    two.write_serve("sick.yaml", _app("a", "sick"))
    result = two.run("deploy", "sick.yaml", code=6)
    assert "RuntimeError: the model lost its GPU (hello.py:" in result.stderr
    assert two.get("/a")[0] == 200


def test_resources_that_no_node_has_are_refused_before_anything_is_written(two):
    releases = sorted((two.state_dir / "releases").iterdir())
    two.write_serve(
        "gpu.yaml",
        _app("gpu", "a", deployments=[
            {"name": "Hello", "ray_actor_options": {"num_gpus": 8}}
        ]),
    )  # fmt: skip
    result = two.run("deploy", "gpu.yaml", code=3)
    assert "needs 8 GPU, but the largest node has 0" in result.stderr
    assert sorted((two.state_dir / "releases").iterdir()) == releases


def test_dry_run_shows_the_difference_and_changes_nothing(two):
    version = two.get("/a")[1].split()[0]
    two.write_serve(
        "more.yaml",
        _app("a", "a", deployments=[
            {"name": "Hello", "num_replicas": 2, "ray_actor_options": {"num_cpus": 0.1}}
        ]),
    )  # fmt: skip
    result = two.run("deploy", "more.yaml", "--dry-run")
    assert "deployments.Hello.num_replicas: not set → 2" in result.stdout
    assert two.get("/a")[1].split()[0] == version
    assert len(two.replica_pids("a")) == 1


def test_a_route_of_another_application_is_a_conflict(two):
    two.write_serve("clash.yaml", _app("c", "a", route_prefix="/b"))
    result = two.run("deploy", "clash.yaml", code=5)
    assert "route /b belongs to application 'b'" in result.stderr


def test_an_option_of_the_running_serve_instance_is_refused(two):
    text = (two.root / "a.yaml").read_text()
    config = {**json.loads(text), "http_options": {"request_timeout_s": 7}}
    two.write("options.yaml", json.dumps(config))
    result = two.run("deploy", "options.yaml", code=3)
    assert "http_options.request_timeout_s" in result.stderr


@pytest.mark.long
def test_module_and_attribute_deploy_without_a_file(two):
    two.write_app(".", version="quick")
    two.run("deploy", "hello:app", "--name", "quick", "--route-prefix", "/quick")
    assert two.get("/quick")[1].startswith("quick ")
    (two.root / "hello.py").unlink()
    assert "deleted quick" in two.run("delete", "quick").stdout
    assert two.get("/quick")[0] == 404


def test_concurrent_deploys_of_different_applications_succeed(two):
    files = []
    for name in ("p", "q"):
        two.write_app(name)
        two.write_serve(f"{name}.yaml", _app(name, name))
        files.append(f"{name}.yaml")
    running = [two.start("deploy", file) for file in files]
    told = [process.communicate(timeout=COMMAND_SECONDS) for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    assert two.get("/p")[0] == two.get("/q")[0] == 200


def test_prune_requires_yes_and_deletes_applications_not_in_the_file(two):
    refused = two.run("deploy", "a.yaml", "--prune", code=2)
    assert "--yes" in refused.stderr
    assert two.get("/p")[0] == 200
    names = ("a", "b", "stream")
    files = [json.loads((two.root / f"{n}.yaml").read_text()) for n in names]
    wanted = {"applications": [f["applications"][0] for f in files]}
    two.write("wanted.yaml", json.dumps(wanted))
    two.run("deploy", "wanted.yaml", "--prune", "--yes")
    assert {a["name"] for a in two.status()["applications"]} == set(names)


@pytest.mark.long
def test_a_deploy_of_an_application_that_is_being_deployed_is_a_conflict(two, stuck):
    seconds = f"{10 + 10 * two.slowness():.0f}"
    slow = two.start("deploy", stuck, "--timeout", seconds)
    wait_until(lambda: _open_release(two))
    two.write_app("a", version="v9")
    result = two.run("deploy", "a.yaml", code=5)
    assert "is being deployed by" in result.stderr
    slow.communicate(timeout=COMMAND_SECONDS)
    assert slow.returncode == 6


def test_a_killed_deploy_is_reported_and_recovered_by_the_next_one(two, stuck):
    killed = two.start("deploy", stuck)
    wait_until(lambda: _open_release(two))
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert any("was interrupted" in line for line in two.status()["problems"])
    two.write_app("a", version="v10")
    two.run("deploy", "a.yaml")
    assert two.get("/a")[1].startswith("v10 ")
    assert two.status()["problems"] == []


def test_an_interrupted_deploy_reports_that_it_is_safe_to_run_again(two, stuck):
    running = two.start("deploy", stuck)
    wait_until(lambda: _open_release(two))
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=WAIT_SECONDS)
    assert running.returncode == 130
    assert "safely run the same command again" in told
    two.run("deploy", "a.yaml")
    assert two.status()["healthy"]


@pytest.mark.long
def test_a_deleted_application_finishes_its_requests_and_no_other_is_affected(two):
    code = f"""
import pathlib
import time
from ray import serve
ROOT = pathlib.Path({str(two.root)!r})
@serve.deployment(graceful_shutdown_timeout_s=600)
class Hello:
    def __call__(self, request):
        (ROOT / "begun").touch()
        while not (ROOT / "deleting").exists():
            time.sleep(0.05)
        return "finished"
app = Hello.bind()
"""
    two.write_app("slow", code=code)
    two.write_serve("slow.yaml", _app("slow", "slow"))
    two.run("deploy", "slow.yaml")
    pids = two.replica_pids("b")
    answers: list[tuple[int, str]] = []
    asking = threading.Thread(target=lambda: answers.append(two.get("/slow")))
    asking.start()
    wait_until((two.root / "begun").exists)
    deleting = two.start("delete", "slow")
    wait_until(lambda: two.application("slow")["status"] == "DELETING")
    assert asking.is_alive()
    (two.root / "deleting").touch()
    _, told = deleting.communicate(timeout=COMMAND_SECONDS)
    assert deleting.returncode == 0, told
    asking.join()
    assert answers == [(200, "finished")]
    assert two.get("/slow")[0] == 404
    assert two.replica_pids("b") == pids
    assert "application 'slow' not found" in two.run("delete", "slow").stdout


def _open_release(project) -> bool:
    files = sorted((project.state_dir / "releases").glob("*.json"))
    return bool(files) and json.loads(files[-1].read_text())["outcome"] == "open"


@pytest.mark.long
def test_a_killed_delete_is_resumed_by_the_same_command(two):
    two.write_app("going")
    two.write_serve("going.yaml", _app("going", "going"))
    two.run("deploy", "going.yaml")
    killed = two.start("delete", "going")
    wait_until(lambda: _open_release(two))
    killed.kill()
    killed.communicate()
    assert "deleted going" in two.run("delete", "going").stdout
    status = two.status()
    assert "going" not in {a["name"] for a in status["applications"]}
    assert status["problems"] == []
