"""`raylift up` and `delete` on real Ray: start, change, recover, and delete."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from project import (
    COMMAND_SECONDS,
    RAYLIFT,
    WAIT_SECONDS,
    default_signals,
    make_project,
    processes_of,
    wait_until,
)

pytestmark = pytest.mark.ray

GROUPS = """
raylift:target: local
raylift:ray: {head: {numCpus: 2}}
raylift:nodeGroups:
  - {name: l4, numCpus: 2, numGpus: 1, labels: {accelerator: l4}, resources: {fast: 3}}
"""


def _deploy_hello(project, **more) -> None:
    project.write_app("app")
    project.write_serve(
        "serve.yaml",
        {
            "name": "hello",
            "route_prefix": "/hello",
            "runtime_env": {"working_dir": "app"},
            **more,
        },
    )
    project.run("deploy")


def test_up_deploy_and_delete_leave_nothing_in_the_temporary_folder(project, tmp_path):
    """Use a separate temporary folder, because other programs write to /tmp."""
    system = tmp_path / "system"
    system.mkdir()
    project.environment["TMPDIR"] = str(system)
    project.run("up")
    _deploy_hello(project)
    folders = {p["environ"]["TMPDIR"] for p in project.described()}
    project.run("delete", "--yes")
    assert list(system.iterdir()) == []
    (used,) = folders
    assert not Path(used).parent.exists()


SLOW = """
import time
from ray import serve
@serve.deployment(ray_actor_options={"num_cpus": 0.1})
class Hello:
    def __init__(self):
        time.sleep(600)
    def __call__(self, request):
        return "never"
app = Hello.bind()
"""


@pytest.mark.long
def test_a_delete_stops_running_deploys_and_they_recreate_nothing(project):
    project.run("up")
    splits = {
        "name": "split",
        "route_prefix": "/split",
        "import_path": "raylift.splitter:app",
        "deployments": [{"name": "Splitter", "user_config": {"arms": {"hello": 1}}}],
    }
    small = {"name": "Hello", "ray_actor_options": {"num_cpus": 0.1}}
    _deploy_hello(project, deployments=[small])
    project.write_serve("split.yaml", splits)
    project.run("deploy", "split.yaml")
    project.write_app("app", version="v2")
    canary = project.start("deploy", "--canary", "50,100", "--step", "900s")
    wait_until(lambda: project.get("/split")[1].startswith("v2"))
    project.write_app("slow", code=SLOW)
    slow = {"name": "slow", "route_prefix": "/slow"}
    project.write_serve("slow.yaml", {**slow, "runtime_env": {"working_dir": "slow"}})
    plain = project.start("deploy", "slow.yaml")
    wait_until(lambda: "slow" in project.names())
    project.run("delete", "--yes")
    for deploy in (canary, plain):
        told = deploy.communicate(timeout=WAIT_SECONDS)[1].splitlines()
        assert deploy.returncode == 3, told
        assert told[-2:] == [
            "error: stack 'local' was deleted by another command",
            " hint: run `raylift up -s local`",
        ]
    assert not (project.root / ".raylift").exists()


def _head(project) -> psutil.Process:
    return next(
        psutil.Process(p["pid"])
        for p in project.described()
        if p["environ"]["RAYLIFT_NODE"] == "head" and os.getsid(p["pid"]) == p["pid"]
    )


@pytest.mark.long
def test_two_concurrent_up_runs_start_one_cluster_and_delete_leaves_nothing(project):
    first, second = project.start("up"), project.start("up")
    said = [process.communicate(timeout=COMMAND_SECONDS) for process in (first, second)]
    assert [p.returncode for p in (first, second)] == [0, 0], said
    found = project.described()
    assert len({p["environ"]["RAYLIFT_NODE"] for p in found}) == 1
    assert len([p for p in found if {"start", "--head"} <= set(p["cmdline"])]) == 1
    ports = project.ports
    assert "nothing to do" in project.run("up").stderr
    project.run("delete", "--yes")
    assert project.processes() == []
    assert not (project.root / ".raylift").exists()
    for port in (ports["base"], ports["base"] + 1, ports["serve"]):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    assert "nothing to delete" in project.run("delete", "--yes").stdout


@pytest.mark.long
def test_changes_of_a_node_group_do_not_affect_the_head(tmp_path):
    project = make_project(tmp_path, config=GROUPS)
    stack_file = tmp_path / "stacks" / "Pulumi.local.yaml"
    try:
        project.run("up")
        head = _head(project).pid
        gpu = {"num_gpus": 0.5, "label_selector": {"accelerator": "l4"}}
        override = {"name": "Hello", "num_replicas": 2, "ray_actor_options": gpu}
        _deploy_hello(project, deployments=[override])
        nodes = {n["node_id"]: n for n in project.status()["nodes"] if n["alive"]}
        placed = {
            r["node_id"]
            for r in project.application("hello")["deployments"][0]["replicas"]
        }
        assert [nodes[n]["labels"]["accelerator"] for n in placed] == ["l4"]
        assert [nodes[n]["resources"]["fast"] for n in placed] == [3.0]
        assert project.get("/hello")[0] == 200

        more = GROUPS.replace("name: l4", "name: l4, minSize: 2")
        stack_file.write_text("config:\n" + more.replace("\n", "\n  "))
        assert "+ start node l4-1" in project.run("up").stdout
        assert _alive(project) == 3
        stack_file.write_text("config:\n" + GROUPS.replace("\n", "\n  "))
        assert "- stop node l4-1" in project.run("up").stdout
        wait_until(lambda: _alive(project) == 2)
        assert _head(project).pid == head
        assert project.get("/hello")[0] == 200

        frozen = GROUPS.replace("numCpus: 2}}", "numCpus: 3}}")
        stack_file.write_text("config:\n" + frozen.replace("\n", "\n  "))
        refused = project.run("up", code=3)
        assert "raylift:ray.head" in refused.stderr
        assert "--restart" in refused.stderr
        assert _head(project).pid == head
        project.run("up", "--restart")
        assert _head(project).pid != head
        wait_until(lambda: project.get("/hello")[0] == 200)
    finally:
        project.run("delete", "--yes")
    assert project.processes() == []


def _alive(project) -> int:
    return sum(node["alive"] for node in project.status()["nodes"])


@pytest.mark.long
def test_stacks_run_beside_each_other_and_another_ray(tmp_path, foreign_ray):
    projects = [make_project(tmp_path / name) for name in ("one", "two")]
    try:
        starting = [project.start("up") for project in projects]
        told = [process.communicate(timeout=COMMAND_SECONDS) for process in starting]
        assert [process.returncode for process in starting] == [0, 0], told
        assert projects[0].ports["serve"] != projects[1].ports["serve"]
        projects[0].run("delete", "--yes")
        assert projects[1].status()["nodes"]
        assert foreign_ray.poll() is None
    finally:
        for project in projects:
            project.run("delete", "--yes")
    assert foreign_ray.poll() is None


@pytest.fixture
def foreign_ray(tmp_path):
    """A Ray cluster on this machine that raylift did not start."""
    ray = str(Path(RAYLIFT).with_name("ray"))
    folder = Path(f"/tmp/foreign-{os.getpid()}")
    process = subprocess.Popen(
        [ray, "start", "--head", "--block", "--port=26379", "--dashboard-port=28265",
         "--ray-client-server-port=30001", "--dashboard-agent-listen-port=28266",
         f"--temp-dir={folder}", "--disable-usage-stats", "--num-cpus=1",
         "--object-store-memory=80000000"],
        cwd=tmp_path,
        env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=default_signals,
    )  # fmt: skip

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", 26379)) == 0

    wait_until(answers)
    yield process
    process.send_signal(signal.SIGINT)
    process.wait(WAIT_SECONDS)


def test_a_port_in_use_is_reported_with_its_process(tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        config = f"raylift:target: local\nraylift:serve: {{port: {port}}}"
        project = make_project(tmp_path, config=config)
        result = project.run("up", code=3)
    assert "starting" not in result.stderr
    assert f"port {port} (raylift:serve.port) is in use by" in result.stderr
    assert f"(pid {os.getpid()})" in result.stderr
    assert project.processes() == []
    project.run("delete", "--yes")


@pytest.mark.long
def test_a_port_in_use_after_up_is_reported_before_serve_starts(project):
    project.run("up")
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", project.ports["serve"]))
        holder.listen()
        project.write_app("app")
        application = {"name": "hello", "runtime_env": {"working_dir": "app"}}
        project.write_serve("serve.yaml", application)
        result = project.run("deploy", code=3)
    assert f"port {project.ports['serve']} for applications" in result.stderr
    project.run("deploy")
    assert project.get("/")[0] == 200


def test_up_restores_a_killed_cluster_and_its_applications(project):
    project.run("up")
    _deploy_hello(project)
    # A process without the mark of the stack would survive, and keep its ports.
    head = _head(project)
    wait_until(lambda: set(head.children(recursive=True)) <= set(project.processes()))
    wait_until(lambda: _killed(project.processes()) == [])
    # A reboot empties /tmp as well.
    for folder in Path(f"/tmp/raylift-{os.getuid()}").glob("[0-9a-f]*"):
        if not any(str(folder) in " ".join(p.cmdline()) for p in _all_processes()):
            shutil.rmtree(folder)
    down = project.run("status", code=3)
    assert "has stopped" in down.stderr
    project.run("up")
    wait_until(lambda: project.get("/hello")[0] == 200)
    assert "= unchanged hello" in project.run("deploy").stdout


def _killed(processes):
    """Kill the processes and return them; one of them may just have started another."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    return processes


def _all_processes():
    for process in psutil.process_iter():
        try:
            process.cmdline()
        except psutil.Error:
            continue
        yield process


@pytest.mark.long
def test_killed_up_and_delete_runs_succeed_when_run_again(project):
    moments = random.Random(7)
    for command in ("up", "up", "up", "delete", "up", "delete"):
        arguments = [command, "--yes"] if command == "delete" else [command]
        killed = project.start(*arguments)
        time.sleep(moments.uniform(0.1, 3.5))
        killed.kill()
        killed.communicate()
        if command == "up":
            project.run("up")
            assert project.status()["healthy"]
    project.run("delete", "--yes")
    assert project.processes() == []
    assert not project.state_dir.exists()


def test_a_damaged_state_file_is_reported_and_delete_removes_it(project):
    project.run("up")
    (project.state_dir / "state.json").write_text("{half")
    assert "corrupted" in project.run("status", code=9).stderr
    project.run("delete", "--yes")
    assert project.processes() == []
    assert not project.state_dir.exists()


def test_listening_sockets_are_known_and_on_loopback(up):
    _deploy_hello(up)
    assert up.open_to_the_network() == []
    found = {(s.process, s.role) for s in _listening(up)}
    assert found <= _ALLOWED, sorted(found - _ALLOWED)


# (process, role), and who can use the socket without a token. All are on loopback.
_ALLOWED = {
    ("gcs_server", "gcs"),  # token required
    ("gcs_server", "other"),  # token required
    ("raylet", "node"),  # token required
    ("ray-dashboard", "dashboard"),  # token required, except for health and version
    ("ray-dashboard", "metrics"),  # users of this machine: Prometheus metrics
    ("ray-dashboard", "other"),  # token required; between the dashboard's processes
    ("monitor", "metrics"),  # users of this machine: Prometheus metrics
    ("ray-client", "client"),  # token required
    ("agent", "node"),  # token required; users of this machine: Prometheus metrics
    ("worker", "other"),  # token required; Ray's core worker gRPC
    ("ray::ServeReplica", "other"),  # token required; Ray's core worker gRPC
    ("ray::ServeReplica", "ingress"),  # users of this machine: the application itself
    ("ray::ProxyActor", "other"),  # token required
    ("ray::ProxyActor", "fallback"),  # users of this machine: the applications
    ("haproxy", "serve"),  # users of this machine: the applications
}


def _listening(project):
    for process, connection in project.listening():
        port = connection.laddr[1]
        yield _Socket(port, _process_kind(process), _role(port, project.ports))


class _Socket(NamedTuple):
    port: int
    process: str
    role: str


def _role(port: int, ports: dict[str, int]) -> str:
    base = ports["base"]
    if port == ports["serve"]:
        return "serve"
    offset = port - base
    names = {0: "gcs", 1: "dashboard", 2: "client", 3: "metrics", 4: "metrics",
             7: "fallback", 8: "fallback"}  # fmt: skip
    if offset in names:
        return names[offset]
    if 10 <= offset < 420:
        return "node"
    return "ingress" if 420 <= offset < 1000 else "other"


def _process_kind(process: psutil.Process) -> str:
    line = " ".join(process.cmdline())
    for text, kind in (
        ("ray::ServeReplica", "ray::ServeReplica"),
        ("ray::ProxyActor", "ray::ProxyActor"),
        ("ray::DashboardAgent", "agent"),
        ("ray::RuntimeEnvAgent", "agent"),
        ("ray-dashboard", "ray-dashboard"),
        ("dashboard/dashboard.py", "ray-dashboard"),
        ("util.client.server", "ray-client"),
        ("monitor.py", "monitor"),
        ("gcs_server", "gcs_server"),
        ("haproxy", "haproxy"),
        ("ray::", "worker"),
        ("raylet", "raylet"),
    ):
        if text in line:
            return kind
    return line


def test_the_servers_of_a_replica_refuse_callers_without_the_token(up):
    import grpc

    _deploy_hello(up)
    ports = [
        socket.port
        for socket in _listening(up)
        if (socket.process, socket.role) == ("ray::ServeReplica", "other")
    ]
    codes = set()
    for port in ports:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary("/ray.serve.ASGIService/HandleRequest")
            with pytest.raises(grpc.RpcError) as refused:
                call(b"", timeout=5)
        codes.add(refused.value.code())
    # Ray's core worker, which also listens, does not implement the call.
    known = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED}
    assert grpc.StatusCode.UNAUTHENTICATED in codes
    assert codes <= known


def test_the_dashboard_refuses_a_wrong_token_and_status_reports_it(up):
    token = up.state_dir / "token"
    right = token.read_text()
    try:
        token.write_text("0" * 64)
        result = up.run("status", code=8)
    finally:
        token.write_text(right)
    assert "rejected the stack's token" in result.stderr
    assert right not in result.stderr + result.stdout


def test_only_the_owner_can_read_files_with_secrets(up):
    assert (up.state_dir / "token").stat().st_mode & 0o077 == 0
    assert up.state_dir.stat().st_mode & 0o077 == 0
    machine = Path(f"/tmp/raylift-{os.getuid()}")
    assert machine.stat().st_mode & 0o077 == 0


def test_the_token_is_in_no_argument_list(up):
    token = (up.state_dir / "token").read_text().strip()
    lines = [" ".join(p.cmdline()) for p in processes_of(up.state_dir)]
    assert lines
    assert not [line for line in lines if token in line]


@pytest.mark.long
def test_ray_runs_with_a_small_shared_memory(project):
    """Ray falls back to the disk if /dev/shm is too small for its object store."""
    shm = os.statvfs("/dev/shm")
    if shm.f_bavail * shm.f_frsize < 64 << 20 or not _can_mount():
        pytest.skip("needs root and mount namespaces to create a small /dev/shm")
    script = 'mount -t tmpfs -o size=64m none /dev/shm && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", RAYLIFT, "up"]
    result = subprocess.run(
        command, cwd=project.root, capture_output=True, text=True, check=False,
        timeout=COMMAND_SECONDS, preexec_fn=default_signals,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    _deploy_hello(project)
    assert project.get("/hello")[0] == 200


def _can_mount() -> bool:
    probe = ["unshare", "-m", "mount", "-t", "tmpfs", "none", "/dev/shm"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def test_the_json_outputs_contain_no_token(up):
    result = up.run("up", "--json")
    outputs = json.loads(result.stdout)
    assert outputs["version"] == 1
    assert (up.state_dir / "token").read_text().strip() not in result.stdout


@pytest.mark.long
def test_a_changed_port_moves_the_running_applications(project):
    project.run("up")
    _deploy_hello(project)
    old = project.ports["serve"]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        new = probe.getsockname()[1]
    stack_file = project.root / "stacks" / "Pulumi.local.yaml"
    stack_file.write_text(f"config:\n  raylift:serve: {{port: {new}}}\n")
    assert "raylift:serve.port" in project.run("up", code=3).stderr
    project.run("up", "--restart")
    assert project.ports["serve"] == new
    assert project.get("/hello")[0] == 200
    assert project.status()["healthy"]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", old)) != 0
    assert "= unchanged hello" in project.run("deploy").stdout


@pytest.mark.long
def test_a_dead_node_is_reported_and_up_replaces_it(tmp_path):
    project = make_project(tmp_path, config=GROUPS)
    try:
        project.run("up")
        (raylet,) = (
            p["pid"]
            for p in project.described()
            if p["name"] == "raylet" and p["environ"]["RAYLIFT_NODE"] == "l4-0"
        )
        os.kill(raylet, signal.SIGKILL)
        shown = project.run("status", code=1).stdout
        assert "! node l4-0 does not respond" in shown
        wait_until(lambda: "l4-0" in project.run("preview").stdout)
        project.run("up")
        status = project.status()
        assert status["healthy"]
        marks = [n["labels"].get("raylift.io/node") for n in status["nodes"]]
        assert "l4-0.2" in marks
    finally:
        project.run("delete", "--yes")
