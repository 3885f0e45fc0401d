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
    containers = [group["template"]["spec"]["containers"][0] for group in groups]
    has_wrapper = any(name.endswith("::haproxy") for name in resources.resources)
    return containers, has_wrapper


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
    containers, has_wrapper = _containers(ray)
    assert has_wrapper == is_used
    for container in containers:
        assert (ENABLED in _environment(container)) == is_used
        paths = {each["mountPath"] for each in container["volumeMounts"]}
        assert ("/run/raylift" in paths) == is_used


def test_ray_env_can_tune_haproxy_but_not_replace_it():
    size, path = "RAY_SERVE_HAPROXY_TUNE_BUFSIZE", "RAY_SERVE_HAPROXY_BINARY_PATH"
    containers, _ = _containers({"env": {size: "131072", path: "/mine"}})
    for container in containers:
        variables = _environment(container)
        assert (variables[size], variables[path]) == ("131072", "/run/raylift/haproxy")


def test_the_wrapper_closes_the_ports_of_haproxy_and_runs_it(tmp_path):
    resources = record(KubernetesConfig())
    wrapper, config = tmp_path / "wrapper", tmp_path / "haproxy.cfg"
    wrapper.write_text(resources.one("haproxy", "ConfigMap").inputs["data"]["haproxy"])
    wrapper.chmod(0o500)
    config.write_text(CONFIG)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(  # checks the configuration as well
        [wrapper, "-c", "-f", config],
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    bound = [line.strip() for line in config.read_text().splitlines() if "bind" in line]
    assert bound == [
        "bind *:8000",
        "bind unix@/tmp/haproxy-serve/9101.sock mode 600",
        "bind unix@/tmp/haproxy-serve/8404.sock mode 600",
    ]
    assert "tune.http.maxhdr 500" in config.read_text()
