"""Bad input of every kind: the right exit code, a line for each error, nothing written.

Each case is a stack file, a Serve config, a tree of files or a command line, and what the
command must say. No stack is up in any of them: a file is judged before the network.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raylift.cli.main import app

APP = (
    "from ray import serve\n\n@serve.deployment\nclass A:\n    pass\n\napp = A.bind()\n"
)
GOOD_STACK = "config:\n  raylift:target: local\n"


def run(folder: Path, *arguments: str, stack: str | bytes = GOOD_STACK, files=None):
    """The result of a command in a project with these files."""
    written = {"Pulumi.yaml": "name: t\nruntime: python\n", **(files or {})}
    written.setdefault("stacks/Pulumi.local.yaml", stack)
    for name, content in written.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(data)
    before = Path.cwd()
    os.chdir(folder)
    try:
        result = CliRunner().invoke(app, list(arguments))
    finally:
        os.chdir(before)
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert not (folder / ".raylift").exists()
    return result


def errors(result) -> list[str]:
    lines = result.stderr.splitlines()
    unexpected = [x for x in lines if not x.startswith(("error: ", " hint: "))]
    assert unexpected == []
    return [
        line.removeprefix("error: ") for line in lines if line.startswith("error: ")
    ]


STACK_FILES = {
    # the file as such
    "empty": ("", ["stacks/Pulumi.local.yaml: is empty"]),
    "a comment only": ("# nothing\n", ["is empty"]),
    "a list": ("- a\n", ["must be a mapping, not a list"]),
    "text": ("hello\n", ["must be a mapping, not the string 'hello'"]),
    "a tab": ("config:\n\traylift:target: local\n", [":2: invalid YAML: found a tab"]),
    "two documents": (
        "config: {}\n---\nconfig: {}\n",
        [":2: must contain one YAML document"],
    ),
    "not UTF-8": (b"config:\n  raylift:target: \xff\n", [":2: not UTF-8"]),
    "a NUL byte": (b"config:\x00\n", ["invalid YAML"]),
    "unclosed": ("config: [\n", ["invalid YAML"]),
    "a python tag": ("config: !!python/object:os.system x\n", [":1: the tag"]),
    "a custom tag": ("config: !secret x\n", [":1: the tag !secret"]),
    "an unknown alias": ("config: *nope\n", [":1: undefined alias 'nope'"]),
    "a key duplicate key": (
        "config:\n  raylift:target: local\n  raylift:target: local\n",
        [":3: raylift:target: duplicate key (lines 2 and 3)"],
    ),
    "config twice": ("config: {}\nconfig: {}\n", [":2: config: duplicate key"]),
    "config as a list": ("config: [a]\n", [":1: config: must be a mapping"]),
    "our key at the top": (
        "target: local\n",
        [":1: target: unknown key"],
    ),
    "a near key of Pulumi's": ("confg: {}\n", ["did you mean config?"]),
    "a mapping as a key": ("config: {? {a: 1} : 2}\n", ["a key must be a string"]),
    "a billion laughs": (
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{c}: &{c} [{','.join('*' + p for _ in range(10))}]\n"
            for p, c in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        ["expands to more than 100000 values"],
    ),
    "nested too deep": (
        "config: " + "[" * 80 + "]" * 80 + "\n",
        ["must be nested at most"],
    ),
    "very deep": ("config: " + "[" * 1000 + "\n", ["must be nested at most"]),
    # keys and values
    "a typo in a key": (
        "config:\n  raylift:targt: local\n",
        [":2: raylift:targt: unknown key; did you mean raylift:target?"],
    ),
    "an unknown target": (
        "config:\n  raylift:target: locl\n",
        [":2: raylift:target: must be one of local, kubernetes, aws"],
    ),
    "a target without its region": (
        "config:\n  raylift:target: aws\n",
        [":2: aws:region: required with target aws"],
    ),
    "a key of another target": (
        "config:\n  raylift:network: {}\n",
        [":2: raylift:network: is only supported with target aws"],
    ),
    "a target that is null": ("config:\n  raylift:target:\n", ["not null"]),
    "groups as a mapping": (
        "config:\n  raylift:nodeGroups: {name: a}\n",
        [":2: raylift:nodeGroups: must be a list, not a mapping"],
    ),
    "a group as text": (
        "config:\n  raylift:nodeGroups: [l4]\n",
        ["raylift:nodeGroups[0]: must be a mapping"],
    ),
    "serve as text": (
        "config:\n  raylift:serve: 8000\n",
        ["raylift:serve: must be a mapping"],
    ),
    "ray as a list": (
        "config:\n  raylift:ray: []\n",
        ["raylift:ray: must be a mapping"],
    ),
    "a privileged port": (
        "config:\n  raylift:serve: {port: 80}\n",
        ["raylift:serve.port: must be at least 1024, not 80"],
    ),
    "a port too large": (
        "config:\n  raylift:serve: {port: 70000}\n",
        ["raylift:serve.port: must be at most 65535"],
    ),
    "a port as text": (
        'config:\n  raylift:serve: {port: "8000"}\n',
        ["raylift:serve.port: must be an integer, not the string '8000'"],
    ),
    "a port as a fraction": (
        "config:\n  raylift:serve: {port: 8000.5}\n",
        ["raylift:serve.port: must be an integer"],
    ),
    "a port as true": ("config:\n  raylift:serve: {port: true}\n", ["not true"]),
    "an unknown ingress": (
        "config:\n  raylift:ray: {ingress: haprxy}\n",
        ["did you mean haproxy?"],
    ),
    "defaults that do not exist": (
        "config:\n  raylift:serve: {defaults: none}\n",
        ["raylift:serve.defaults: must be one of raylift, ray"],
    ),
    "a host that is a number": (
        "config:\n  raylift:serve: {host: 127}\n",
        ["raylift:serve.host: must be a string, not the number 127"],
    ),
    "a token in env": (
        "config:\n  raylift:ray: {env: {RAY_AUTH_MODE: disabled}}\n",
        ["'RAY_AUTH_MODE' is set by raylift"],
    ),
    "env with a number": (
        "config:\n  raylift:ray: {env: {A: 1}}\n",
        ["raylift:ray.env.A: must be a string, not a number"],
    ),
    "memory without a unit": (
        "config:\n  raylift:ray: {objectStoreMemory: 2G}\n",
        ["must be a size such as 512Mi or 16Gi"],
    ),
    "a head with a typo": (
        "config:\n  raylift:ray: {head: {numCpu: 2}}\n",
        ["raylift:ray.head.numCpu: unknown key; did you mean numCpus?"],
    ),
    "snake case": (
        "config:\n  raylift:ray: {head: {num_cpus: 2}}\n",
        ["did you mean numCpus?"],
    ),
    "negative CPUs": (
        "config:\n  raylift:ray: {head: {numCpus: -1}}\n",
        ["raylift:ray.head.numCpus: must be at least 0"],
    ),
    "infinite CPUs": (
        "config:\n  raylift:ray: {head: {numCpus: .inf}}\n",
        ["must be a finite number"],
    ),
}

GROUPS = {
    "no name": ("{numGpus: 1}", "[0].name: required"),
    "a name with capitals": ("{name: L4}", "[0].name: must start with a letter"),
    "a name with a slash": ("{name: a/b}", "[0].name: must start with a letter"),
    "a name of dots": ("{name: ..}", "[0].name: must start with a letter"),
    "a name that is long": ("{name: " + "a" * 30 + "}", "at most 20 characters"),
    "a name right to left": (
        "{name: \u202eabc}",
        "[0].name: must start with a letter",
    ),
    "a name of an emoji": ("{name: 🚀}", "[0].name: must start with a letter"),
    "a name that is a number": (
        "{name: 4}",
        "[0].name: must be a string, not the number 4",
    ),
    "fractional GPUs": (
        "{name: a, numGpus: 0.5}",
        "[0].numGpus: must be an integer",
    ),
    "negative GPUs": ("{name: a, numGpus: -1}", "[0].numGpus: must be at least 0"),
    "no node": ("{name: a, minSize: 0}", "[0].minSize: must be at least 1"),
    "a thousand nodes": ("{name: a, minSize: 1000}", "[0].minSize: must be at most 16"),
    "memory in GB": ("{name: a, memory: 16GB}", "[0].memory: must be a size"),
    "a resource of Ray's": (
        "{name: a, resources: {GPU: 1}}",
        "'GPU' is a built-in resource of Ray",
    ),
    "a negative resource": ("{name: a, resources: {x: -1}}", ".x: must be at least 0"),
    "a label of Ray's": (
        "{name: a, labels: {ray.io/x: y}}",
        "has the reserved prefix ray.io/",
    ),
    "a label with a space": (
        "{name: a, labels: {x: a b}}",
        "as Ray requires for labels",
    ),
    "a label that is a number": ("{name: a, labels: {x: 1}}", "must be a string"),
    "an AWS key": (
        "{name: a, instanceTypes: [g6.xlarge]}",
        "instanceTypes: unknown key",
    ),
    "a typo": ("{name: a, label: {}}", "did you mean labels?"),
    "two of one name": ("{name: a}, {name: a}", "must be unique; 'a' is already used"),
}


@pytest.mark.parametrize("name", STACK_FILES)
def test_a_bad_stack_file_is_told_with_its_line(tmp_path, name):
    text, expected = STACK_FILES[name]
    result = run(tmp_path, "preview", stack=text)
    found = errors(result)
    assert result.exit_code == 2
    assert len(found) == len(expected), found
    for line, part in zip(found, expected, strict=True):
        assert line.startswith("stacks/Pulumi.local.yaml")
        assert part in line


@pytest.mark.parametrize("name", GROUPS)
def test_a_bad_node_group_is_told_with_its_key(tmp_path, name):
    group, expected = GROUPS[name]
    text = f"config:\n  raylift:nodeGroups: [{group}]\n"
    result = run(tmp_path, "preview", stack=text)
    found = errors(result)
    assert result.exit_code == 2
    assert len(found) == 1, found
    assert expected in found[0]


def _one(**application) -> dict:
    return {"applications": [{"import_path": "main:app", **application}]}


def _deployment(**deployment) -> dict:
    return _one(deployments=[{"name": "A", **deployment}])


CONFIGS = {
    # the file
    "no applications": ({}, "applications: required"),
    "applications as a mapping": ({"applications": {}}, "applications: must be a list"),
    "an application as text": ({"applications": ["a"]}, "[0]: must be a mapping"),
    "the single form": ({"import_path": "main:app", "applications": []}, "single-application"),
    "a typo at the top": ({"aplications": [], "applications": []}, "did you mean applications?"),
    "a number for the whole": (3, "must be a mapping, not the number 3"),
    "proxy location": ({"proxy_location": "Head", "applications": []}, "must be one of EveryNode"),
    "capacity": ({"target_capacity": 101, "applications": []}, "must be at most 100"),
    "http port": ({"http_options": {"port": 0}, "applications": []}, "must be at least 1"),
    "http typo": ({"http_options": {"prt": 1}, "applications": []}, "did you mean port?"),
    "http location": ({"http_options": {"location": "x"}, "applications": []}, "use proxy_location"),
    "half of TLS": ({"http_options": {"ssl_keyfile": "k"}, "applications": []}, "must be set together"),
    "grpc typo": ({"grpc_options": {"ports": 1}, "applications": []}, "did you mean port?"),
    "log level": ({"logging_config": {"log_level": "LOUD"}, "applications": []}, "log_level: must be one of"),
    "log encoding": ({"logging_config": {"encoding": "XML"}, "applications": []}, "must be one of TEXT, JSON"),
    # an application
    "no import path": ({"applications": [{"name": "a"}]}, "import_path: required"),
    "no attribute": (_one(import_path="main"), "must be module:attribute"),
    "a path for a module": (_one(import_path="./main.py:app"), "must be module:attribute"),
    "two colons": (_one(import_path="a:b:c"), "must be module:attribute"),
    "DAGDriver": (_one(import_path="ray.serve.drivers:DAGDriver"), "DAGDriver was removed"),
    "an empty name": (_one(name=""), "[0].name: must contain only letters"),
    "a name with a slash": (_one(name="a/b"), "[0].name: must contain only letters"),
    "a name of dots": (_one(name=".."), "[0].name: must contain only letters"),
    "a name with a newline": (_one(name="a\nerror: b"), "[0].name: must contain only letters"),
    "a name of 300 letters": (_one(name="a" * 300), "at most 63"),
    "a name as null": (_one(name=None), "[0].name: must be a string, not null"),
    "a route without a slash": (_one(route_prefix="a"), "must start with '/'"),
    "a route that ends with one": (_one(route_prefix="/a/"), "must not end with '/'"),
    "a route with a space": (_one(route_prefix="/a b"), "must not contain ' '"),
    "a route with a pattern": (_one(route_prefix="/a/{x}"), "must not contain"),
    "a route as a number": (_one(route_prefix=3), "must be a string, not the number 3"),
    "host in an application": (_one(host="0.0.0.0"), "belongs under http_options"),
    "replicas in an application": (_one(num_replicas=2), "belongs to a deployment"),
    "working_dir in an application": (_one(working_dir="."), "belongs under runtime_env"),
    "a typo in an application": (_one(runtime_envs={}), "did you mean runtime_env?"),
    "args as a list": (_one(args=[1]), "args: must be a mapping, not a list"),
    "a folder that is not there": (_one(runtime_env={"working_dir": "no"}), "does not exist"),
    "a file for a folder": (_one(runtime_env={"working_dir": "serve.yaml"}), "is not a directory"),
    "a typo in runtime_env": (_one(runtime_env={"workingdir": "."}), "did you mean working_dir?"),
    "env_vars with a number": (_one(runtime_env={"env_vars": {"A": 1}}), "must be a string"),
    "pip and conda": (_one(runtime_env={"pip": ["a"], "conda": {"x": 1}}), "cannot be combined with"),
    "code beside the file": (_one(runtime_env={}), "add runtime_env: {working_dir: .}"),
    # a deployment
    "no deployment name": (_one(deployments=[{"num_replicas": 1}]), "name: required"),
    "no replica": (_deployment(num_replicas=0), "to scale to zero, use autoscaling_config"),
    "minus one replica": (_deployment(num_replicas=-1), "must be greater than 0"),
    "half a replica": (_deployment(num_replicas=1.5), "must be an integer or auto"),
    "replicas as text": (_deployment(num_replicas="2"), "must be an integer or auto"),
    "replicas in words": (_deployment(num_replicas="automatic"), "an integer or auto"),
    "replicas as true": (_deployment(num_replicas=True), "an integer or auto"),
    "a typo of replicas": (_deployment(num_replica=2), "did you mean num_replicas?"),
    "replicas beside autoscaling": (
        _deployment(num_replicas=4, autoscaling_config={"max_replicas": 5}),
        "num_replicas: 4 cannot be combined with autoscaling_config",
    ),
    "an old name": (_deployment(max_concurrent_queries=5), "use max_ongoing_requests"),
    "another old name": (
        _deployment(autoscaling_config={"target_num_ongoing_requests_per_replica": 1}),
        "use target_ongoing_requests",
    ),
    "init args": (_deployment(init_args=[1]), "pass arguments in code"),
    "a route on a deployment": (_deployment(route_prefix="/a"), "belongs to the application"),
    "GPUs on a deployment": (_deployment(num_gpus=1), "belongs under ray_actor_options"),
    "no ongoing request": (_deployment(max_ongoing_requests=0), "must be greater than 0"),
    "a queue below none": (_deployment(max_queued_requests=-2), "must be -1 (no limit) or greater than 0, not -2"),
    "a code of 500": (_deployment(backpressure_config={"status_code": 500}), "503, 429"),
    "a period of zero": (_deployment(health_check_period_s=0), "must be greater than 0"),
    "a negative timeout": (_deployment(graceful_shutdown_timeout_s=-1), "must be at least 0"),
    "a surge over 100": (_deployment(max_surge_percent=200), "must be at most 100"),
    "a surge of a fraction": (_deployment(max_surge_percent=0.5), "must be an integer"),
    "an update over 1": (_deployment(rolling_update_percentage=20), "must be at most 1"),
    "min above max": (
        _deployment(autoscaling_config={"min_replicas": 3, "max_replicas": 2}),
        "min_replicas 3 is greater than max_replicas 2",
    ),
    "initial outside": (
        _deployment(autoscaling_config={"initial_replicas": 9, "max_replicas": 2}),
        "initial_replicas 9 is not between",
    ),
    "a policy without a colon": (
        _deployment(autoscaling_config={"policy": {"policy_function": "f"}}),
        "must be module:attribute",
    ),
    "an aggregation": (
        _deployment(autoscaling_config={"aggregation_function": "median"}),
        "must be one of mean, max, min",
    ),
    "1.5 GPUs": (_deployment(ray_actor_options={"num_gpus": 1.5}), "above 1 must be an integer"),
    "CPU as a resource": (
        _deployment(ray_actor_options={"resources": {"CPU": 1}}),
        "use num_cpus",
    ),
    "a negative CPU": (_deployment(ray_actor_options={"num_cpus": -1}), "must be at least 0"),
    "a typo in actor options": (
        _deployment(ray_actor_options={"num_gpu": 1}),
        "did you mean num_gpus?",
    ),
    "object store memory": (
        _deployment(ray_actor_options={"object_store_memory": 1}),
        "was removed from Ray Serve",
    ),
    "a strategy alone": (
        _deployment(placement_group_strategy="PACK"),
        "requires placement_group_bundles",
    ),
    "a strategy of none": (
        _deployment(placement_group_strategy="SPRED", placement_group_bundles=[{"CPU": 1}]),
        "did you mean SPREAD?",
    ),
    "per node beside bundles": (
        _deployment(max_replicas_per_node=1, placement_group_bundles=[{"CPU": 1}]),
        "cannot be combined with",
    ),
    "a gang that does not divide": (
        _deployment(num_replicas=3, gang_scheduling_config={"gang_size": 2}),
        "is not a multiple of gang_size 2",
    ),
    "an unknown deployment": (
        _one(deployments=[{"name": "Aa"}]),
        "no deployment 'Aa' in main:app; did you mean A?",
    ),
}  # fmt: skip


def test_the_corpus_is_large():
    assert len(STACK_FILES) + len(GROUPS) + len(CONFIGS) + len(TEXTS) >= 120


@pytest.mark.parametrize("name", CONFIGS)
def test_a_bad_serve_config_is_told_before_any_network(tmp_path, name):
    value, expected = CONFIGS[name]
    for application in (
        value["applications"]
        if isinstance(value, dict) and isinstance(value.get("applications"), list)
        else []
    ):
        if isinstance(application, dict):
            application.setdefault("runtime_env", {"working_dir": "."})
    files = {"serve.yaml": json.dumps(value), "main.py": APP}
    result = run(tmp_path, "deploy", files=files)
    found = errors(result)
    assert result.exit_code == 2
    assert len(found) == 1, found
    assert found[0].startswith("serve.yaml")
    assert expected in found[0]


HEAD = "applications:\n  - import_path: main:app\n    runtime_env: {working_dir: .}\n"
TEXTS = {
    "all errors at once": (
        HEAD + "    nam: a\n    route_prefix: a\n  - import_path: x\n",
        APP,
        ["serve.yaml:4: ", "serve.yaml:5: ", "serve.yaml:6: ", "serve.yaml:6: "],
    ),
    "two of one name": (
        HEAD + "    name: a\n" + HEAD.removeprefix("applications:\n") + "    name: a\n"
        "    route_prefix: /b\n",
        APP,
        ["serve.yaml:7: applications[1].name: two applications named 'a' (see serve.yaml:4)"],
    ),
    "two on one route": (
        HEAD + "    name: a\n" + HEAD.removeprefix("applications:\n") + "    name: b\n",
        APP,
        ["two applications on the route '/'"],
    ),
    "a syntax error in the code": (HEAD, "def f(:\n", ["main.py:1: syntax error"]),
    "a missing attribute": (HEAD, "ap = 1\n", ["no 'app' in module main; did you mean ap?"]),
    "a missing module": (
        HEAD.replace("main:app", "mian:app"),
        APP,
        ["no module 'mian' in", "did you mean main?"],
    ),
    "a missing submodule": (
        HEAD.replace("main:app", "main.sub:app"),
        APP,
        ["no module 'main.sub' in"],
    ),
    "a YAML word as a name": (HEAD + "    name: no\n    route_prefix: no\n", APP, ["must start with '/'"]),
    "a version as a number": (HEAD + "    name: 1.10\n", APP, ["must be a string, not the number 1.1"]),
    "a merge of a list": (HEAD + "    <<: [1]\n", APP, ["'<<' can only merge mappings"]),
    "a number of many digits": (HEAD + "    args: {a: " + "9" * 5000 + "}\n", APP, ["must be an integer"]),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_a_bad_text_or_tree_is_told_with_its_line(tmp_path, name):
    text, code, expected = TEXTS[name]
    result = run(tmp_path, "deploy", files={"serve.yaml": text, "main.py": code})
    found = errors(result)
    assert result.exit_code == 2
    if name == "a missing module":
        assert len(found) == 1
        assert all(part in found[0] for part in expected)
        return
    assert len(found) == len(expected), found
    for line, part in zip(found, expected, strict=True):
        assert part in line


COMMANDS = {
    "an unknown command": (["depoly"], 2, "unknown command 'depoly'"),
    "an unknown option": (["up", "--fast"], 2, "unknown option '--fast'"),
    "a timeout of zero": (["deploy", "--timeout", "0"], 2, "--timeout"),
    "a timeout in words": (["deploy", "--timeout", "soon"], 2, "--timeout"),
    "lines below none": (["logs", "-n", "-1"], 2, "--lines"),
    "a stack that is not there": (["up", "-s", "locl"], 2, "did you mean local?"),
    "a stack with a slash": (["up", "-s", "../x"], 2, "must start with a letter"),
    "a stack with a capital": (["up", "-s", "Local"], 2, "must start with a letter"),
    "a stack of an emoji": (["up", "-s", "🚀"], 2, "must start with a letter"),
    "a file that is not there": (["deploy", "no.yaml"], 2, "no.yaml: cannot be read"),
    "a folder for a file": (["deploy", "stacks"], 2, "stacks: cannot be read"),
    "a name with a file": (["deploy", "--name", "x"], 2, "require module:app"),
    "a module that is not there": (["deploy", "nope:app"], 2, "no module 'nope'"),
    "a module without attribute": (["deploy", "main:"], 2, "must be a Serve config file or module:app"),
    "a bad name for a module": (["deploy", "main:app", "--name", "a b"], 2, "must contain only letters"),
    "a bad route for a module": (["deploy", "main:app", "--route-prefix", "x"], 2, "must start"),
    "status of no stack": (["status"], 3, "stack 'local' is not up"),
    "logs of no stack": (["logs"], 3, "stack 'local' is not up"),
    "deploy to no stack": (["deploy"], 3, "stack 'local' is not up"),
    "delete in no stack": (["delete", "a"], 3, "stack 'local' is not up"),
    "init over a project": (["init"], 2, "already contains Pulumi.yaml"),
}  # fmt: skip


@pytest.mark.parametrize("name", COMMANDS)
def test_a_bad_command_line_is_told_with_its_code(tmp_path, name):
    arguments, code, expected = COMMANDS[name]
    files = {"serve.yaml": HEAD, "main.py": APP}
    result = run(tmp_path, *arguments, files=files)
    assert result.exit_code == code, result.output
    assert expected in result.stderr


def test_a_package_that_lies_elsewhere_is_not_looked_for_here(tmp_path):
    text = HEAD.replace("working_dir: .", "working_dir: 's3://bucket/code.zip'")
    result = run(tmp_path, "deploy", files={"serve.yaml": text, "main.py": APP})
    assert result.exit_code == 3
    assert "is not up" in result.stderr


def test_a_stack_that_is_up_without_its_file_can_still_be_deleted(tmp_path):
    (tmp_path / "Pulumi.yaml").write_text("name: t\nruntime: python\n")
    (tmp_path / ".raylift" / "old").mkdir(parents=True)

    before = Path.cwd()
    os.chdir(tmp_path)
    try:
        result = CliRunner().invoke(app, ["delete", "-s", "old", "--yes"])
    finally:
        os.chdir(before)
    assert result.exit_code == 0, result.output
    assert not (tmp_path / ".raylift").exists()


def test_outside_a_project_the_way_in_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["up"])
    assert result.exit_code == 2
    assert "no Pulumi.yaml in this directory or any parent directory" in result.stderr
    assert "raylift init" in result.stderr


def test_in_a_deleted_folder_there_is_one_line(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for command in ("up", "status", "delete", "deploy"):
        result = CliRunner().invoke(app, [command])
        assert result.exit_code == 2, result.output
        assert len(errors(result)) == 1


@pytest.mark.parametrize(
    "text",
    [
        GOOD_STACK.replace("\n", "\r\n"),
        "\ufeff" + GOOD_STACK,
        "config:\n  other:x: &x {raylift:target: local}\n  <<: *x\n",
        "config:\n  other:key: {a: 1}\n  raylift:target: local\nsecretsprovider: x\n",
    ],
    ids=["CRLF", "a byte order mark", "a merge key", "foreign keys"],
)
def test_what_only_looks_odd_is_accepted(tmp_path, text):
    result = run(tmp_path, "config", stack=text)
    assert result.exit_code == 0, result.output
    assert "raylift:target: local" in result.stdout
