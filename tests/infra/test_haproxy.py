"""HAProxy in the pods of a stack, and the wrapper that Ray starts in its place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from recording import record

from raylift.infra.kubernetes.config import KubernetesConfig

ENABLED = "RAY_SERVE_ENABLE_HA_PROXY"
CONFIG = """
global
    maxconn 10
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend applications
    bind *:8000
frontend metrics
    bind *:9101
listen stats
  bind *:8404
"""


def _containers(ray):
    """Return the containers of the head and of the workers."""
    workers = [{"name": "workers"}]
    resources = record(KubernetesConfig(ray={**ray, "workerGroups": workers}))
    (service,) = resources.of("ray.io/v1:RayService")
    spec = service.inputs["spec"]["rayClusterConfig"]
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    return [group["template"]["spec"]["containers"][0] for group in groups]


def _environment(container):
    return {each["name"]: each["value"] for each in container["env"]}


@pytest.mark.parametrize(
    ("ray", "is_used"),
    [
        ({}, True),
        ({"ingress": "haproxy"}, True),
        ({"ingress": "python"}, False),
        ({"version": "2.55.0"}, False),
    ],
)
def test_every_node_has_haproxy_and_its_wrapper_or_neither(ray, is_used):
    for container in _containers(ray):
        assert (ENABLED in _environment(container)) == is_used
        paths = {each["mountPath"] for each in container["volumeMounts"]}
        assert ("/run/raylift" in paths) == is_used


def test_ray_env_can_tune_haproxy_but_not_replace_it():
    size, path = "RAY_SERVE_HAPROXY_TUNE_BUFSIZE", "RAY_SERVE_HAPROXY_BINARY_PATH"
    for container in _containers({"env": {size: "131072", path: "/mine"}}):
        variables = _environment(container)
        assert (variables[size], variables[path]) == ("131072", "/run/raylift/haproxy")


@pytest.fixture
def wrapper(tmp_path):
    resources = record(KubernetesConfig())
    path = tmp_path / "wrapper"
    path.write_text(resources.one("haproxy", "ConfigMap").inputs["data"]["haproxy"])
    path.chmod(0o500)
    return path


def _run(wrapper, *folders, arguments=("-v",)):
    """Run the wrapper as Ray does, with these folders first in PATH."""
    path = os.pathsep.join([*map(str, folders), os.environ["PATH"]])
    variables = {"PATH": path, "RAY_SERVE_HAPROXY_BINARY_PATH": str(wrapper)}
    return subprocess.run(
        [wrapper, *arguments],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _command(folder, name, text):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o700)
    return folder


def test_the_wrapper_closes_the_ports_of_haproxy_and_runs_it(wrapper, tmp_path):
    config = tmp_path / "haproxy.cfg"
    config.write_text(CONFIG)
    check = ("-c", "-f", config)  # checks the configuration as well
    done = _run(wrapper, Path(sys.executable).parent, arguments=check)
    assert done.returncode == 0, done.stderr
    bound = [line.strip() for line in config.read_text().splitlines() if "bind" in line]
    assert bound == [
        "bind *:8000",
        "bind unix@/tmp/haproxy-serve/9101.sock mode 600",
        "bind unix@/tmp/haproxy-serve/8404.sock mode 600",
    ]
    assert "tune.http.maxhdr 500" in config.read_text()


def test_the_wrapper_finds_haproxy_in_a_package_elsewhere(wrapper, tmp_path):
    text = f'exec {sys.executable} "$@"'
    done = _run(wrapper, _command(tmp_path / "bin", "python3", text))
    assert done.stdout.startswith("HAProxy version"), done.stderr


def test_the_wrapper_falls_back_to_the_haproxy_in_path(wrapper, tmp_path):
    folder = _command(tmp_path / "bin", "python3", "exit 1")
    done = _run(wrapper, _command(folder, "haproxy", "echo mine"))
    assert done.stdout == "mine\n"
