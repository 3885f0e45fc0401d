"""The `ray start` of each node, and which nodes an `up` changes."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

from raylift.infra.local.config import LocalConfig
from raylift.infra.local.diff import needs_restart, node_indices, plan_changes
from raylift.infra.local.grpc_loopback import write_hook
from raylift.infra.local.node_plan import Folders, plan_nodes
from raylift.infra.local.ports import MAX_NODES, Ports
from raylift.infra.local.state import Applied

PORTS = Ports(20000, 8000, 9000)
FOLDERS = Folders(Path("/s"), Path("/r"))


def _plan(**config):
    local = LocalConfig.model_validate(config)
    indices = node_indices(local, None, starting=set())
    return plan_nodes(local, ports=PORTS, indices=indices, folders=FOLDERS)


def _option(node, name: str) -> str | None:
    values = [a for a in node.argv if a.startswith(f"--{name}=")]
    return values[0].split("=", 1)[1] if values else None


def test_nodes_have_their_groups_resources_and_labels_and_separate_ports():
    group = {"name": "l4", "minSize": 2, "numGpus": 1, "memory": "2Gi",
             "resources": {"fast": 3}, "labels": {"a": "b"}}  # fmt: skip
    nodes = _plan(nodeGroups=[group, {"name": "cpu"}])
    assert [node.name for node in nodes] == ["head", "l4-0", "l4-1", "cpu-0"]
    assert _option(nodes[1], "num-gpus") == "1"
    assert _option(nodes[1], "memory") == str(2 << 30)
    assert _option(nodes[1], "resources") == '{"fast": 3.0}'
    assert _option(nodes[1], "labels") == "a=b,raylift.io/node=l4-0.1"
    ports = [
        value
        for node in nodes
        for argument in node.argv
        if "-port=" in argument and (value := int(argument.split("=")[1])) > 0
    ]
    assert len(ports) == len(set(ports))


def test_no_two_roles_of_a_block_share_a_port():
    node_ports = [p for index in range(MAX_NODES) for p in PORTS.of_node(index)]
    fixed = list(range(PORTS.base, PORTS.base + 9))
    everything = [*fixed, *node_ports, *PORTS.ingress, *PORTS.grpc_ingress]
    assert len(everything) == len(set(everything))
    assert max(everything) < PORTS.base + 1000


def test_the_token_is_required_and_in_no_argument():
    for node in _plan(nodeGroups=[{"name": "a"}]):
        assert node.environment["RAY_AUTH_MODE"] == "token"
        assert node.environment["RAY_AUTH_TOKEN_PATH"] == "/s/token"
        assert not [a for a in node.argv if "token" in a]


def test_every_node_listens_on_loopback_only():
    head, member = _plan(nodeGroups=[{"name": "a"}])
    assert head.environment["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert _option(head, "dashboard-host") == "127.0.0.1"
    assert _option(member, "address") == "0.0.0.0:20000"


def test_ray_env_can_tune_ray_but_not_open_it():
    tuned, fixed = "RAY_SERVE_CONTROL_LOOP_INTERVAL_S", "RAY_SERVE_HAPROXY_BINARY_PATH"
    env = {tuned: "1", fixed: "/mine", "PYTHONPATH": "/mine", "TMPDIR": "/mine"}
    (head,) = _plan(ray={"env": env})
    assert head.environment["TMPDIR"] == "/r/t"
    assert head.environment[tuned] == "1"
    assert head.environment[fixed] == "/s/haproxy"
    assert head.environment["PYTHONPATH"] == "/s/site:/mine"


HOOKED = """
import asyncio, sys
import grpc.aio
async def main():
    server = grpc.aio.server()
    print(server.add_insecure_port(sys.argv[1]) > 0)
    await server.start()
    with open("/proc/net/tcp6") as six, open("/proc/net/tcp") as four:
        ours = f":{int(sys.argv[2]):04X} "
        print([l.split()[1][-13:] for l in (*six, *four) if ours in l])
    await server.stop(0)
import sitecustomize
asyncio.run(main())
import mine
print(mine.ran)
"""


def test_the_hook_binds_grpc_to_loopback_and_runs_any_other_sitecustomize(tmp_path):
    for name in ("site", "other"):
        (tmp_path / name).mkdir()
    write_hook(tmp_path / "site", host="127.0.0.1")
    (tmp_path / "other" / "mine.py").write_text("ran = False\n")
    (tmp_path / "other" / "sitecustomize.py").write_text("import mine; mine.ran = 1\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = f"{tmp_path / 'site'}:{tmp_path / 'other'}"
    result = subprocess.run(
        [sys.executable, "-c", HOOKED, f"[::]:{port}", str(port)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    listens = f"0100007F:{port:04X}"  # 127.0.0.1 in the format of /proc/net/tcp
    assert result.stdout.splitlines() == ["True", f"['{listens}']", "1"]


def test_the_python_ingress_has_no_setting_of_haproxy():
    (head,) = _plan(ray={"ingress": "python"})
    assert not [k for k in head.environment if "HAPROXY" in k or "HA_PROXY" in k]


def _applied(config: LocalConfig, indices: dict[str, int]) -> Applied:
    return Applied(PORTS, indices, config.resolved(), "2.60.0")


def _config(*groups: str, **more) -> LocalConfig:
    named = [{"name": name} for name in groups]
    return LocalConfig.model_validate({"nodeGroups": named, **more})


def test_a_node_keeps_its_ports_when_an_earlier_group_is_removed():
    indices = node_indices(_config("a", "b"), None, starting=set())
    before = _applied(_config("a", "b"), indices)
    after = node_indices(_config("b", "c"), before, starting={"c-0"})
    assert after["b-0"] == indices["b-0"]
    assert len(set(after.values())) == len(after) == 3


def test_a_restarted_node_gets_other_ports():
    indices = node_indices(_config("a", "b"), None, starting=set())
    before = _applied(_config("a", "b"), indices)
    after = node_indices(_config("a", "b"), before, starting={"head", "a-0", "b-0"})
    assert after.pop("head") == indices.pop("head") == 0
    assert not set(after.values()) & set(indices.values())
    assert max(after.values()) < MAX_NODES


def test_a_stack_with_the_maximum_of_nodes_can_restart():
    group = {"name": "a", "minSize": 16}
    many = [{**group, "name": name} for name in "ab"] + [{"name": "c", "minSize": 7}]
    config = LocalConfig.model_validate({"nodeGroups": many})
    indices = node_indices(config, None, starting=set())
    after = node_indices(config, _applied(config, indices), starting=set(indices))
    assert sorted(after.values()) == list(range(MAX_NODES))
    one = node_indices(
        config, _applied(config, {"head": 0, "x-0": 5}), starting=set(indices)
    )
    assert sorted(one.values()) == list(range(MAX_NODES))


def test_only_what_differs_changes():
    before = _applied(_config("a", "b"), {})
    running = {"head", "a-0", "b-0"}
    assert plan_changes(_config("a", "b"), before, running) == []
    changed = plan_changes(_config("b", "c"), before, running)
    assert [(c.action, c.what) for c in changed] == [("stop", "a-0"), ("start", "c-0")]
    dead = plan_changes(_config("a", "b"), before, {"head", "a-0"})
    assert [(c.action, c.what) for c in dead] == [("start", "b-0")]


def test_a_changed_group_restarts_its_nodes_and_a_larger_one_does_not():
    before = _applied(_config("a"), {})
    larger = LocalConfig.model_validate({"nodeGroups": [{"name": "a", "minSize": 2}]})
    found = plan_changes(larger, before, {"head", "a-0"})
    assert [(c.action, c.what) for c in found] == [("start", "a-1")]
    other = LocalConfig.model_validate({"nodeGroups": [{"name": "a", "numGpus": 1}]})
    found = plan_changes(other, before, {"head", "a-0"})
    assert [(c.action, c.what) for c in found] == [("restart", "a-0")]


def test_changes_that_need_a_restart_are_named_by_key():
    before = _applied(_config(), {})
    changed = _config(
        ray={"ingress": "python"}, serve={"port": 8123, "defaults": "ray"}
    )
    assert needs_restart(changed, before, ray_version="2.61.0") == [
        "raylift:ray.ingress",
        "raylift:serve.port",
        "Ray version 2.60.0 → 2.61.0",
    ]
    assert needs_restart(_config(), before, ray_version="2.60.0") == []
