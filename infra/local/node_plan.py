"""Arguments and environment of the `ray start` of every node; pure functions.

All of Ray listens on loopback. By default, Ray replaces 127.0.0.1 with the external
address of the machine, which exposes its ports to the network. Two settings prevent
that:

- Head: `RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0` (ray/_private/services.py,
  get_node_ip_address).
- Other nodes: a head address of 0.0.0.0, from which a node derives 127.0.0.1 as its own
  address.

Ray's gRPC servers have no such setting: see `grpc_loopback.py`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raylift.infra import serve_proxy
from raylift.infra.local.processes import NODE_MARK, STACK_MARK
from raylift.outputs import NODE_LABEL

if TYPE_CHECKING:
    from raylift.infra.local.config import Head, LocalConfig, NodeGroup
    from raylift.infra.local.ports import Ports

HEAD = "head"


@dataclass(frozen=True, slots=True)
class Folders:
    """Directories of a stack.

    The path of `ray` is short because socket paths are limited to 107 bytes.
    """

    state: Path
    ray: Path

    @property
    def token(self) -> Path:
        """The file with Ray's token, readable by its owner only."""
        return self.state / "token"

    @property
    def haproxy(self) -> Path:
        """HAProxy's configuration and sockets."""
        return self.ray / "h"

    @property
    def temporary(self) -> Path:
        """TMPDIR of Ray's processes.

        The fork server of multiprocessing leaves files in it when it is stopped.
        """
        return self.ray / "t"

    @property
    def site(self) -> Path:
        """The directory of the hook that runs first in every Ray process."""
        return self.state / "site"

    @property
    def empty(self) -> Path:
        """The working directory of Ray, which stays empty.

        It precedes every code package in sys.path.
        """
        return self.state / "cwd"


@dataclass(frozen=True, slots=True)
class Node:
    """A node: name, command, and additional environment variables."""

    name: str
    argv: list[str]
    environment: dict[str, str]


def plan_nodes(
    config: LocalConfig, *, ports: Ports, indices: dict[str, int], folders: Folders
) -> list[Node]:
    """Return all nodes of the stack file, the head first.

    `indices` determines which ten ports of the block each node uses.
    """
    nodes = [_head(config, ports=ports, folders=folders)]
    for group in config.node_groups:
        for number in range(group.min_size):
            name = f"{group.name}-{number}"
            argv = [
                *_ray_start(folders, ports.of_node(indices[name])),
                f"--address=0.0.0.0:{ports.gcs}",
                *_resources(group, config, mark=node_mark(name, indices)),
            ]
            environment = _environment(config, name, ports=ports, folders=folders)
            nodes.append(Node(name, argv, environment))
    return nodes


def _head(config: LocalConfig, *, ports: Ports, folders: Folders) -> Node:
    argv = [
        *_ray_start(folders, ports.of_node(0)),
        "--head",
        f"--port={ports.gcs}",
        f"--dashboard-port={ports.dashboard}",
        "--dashboard-host=127.0.0.1",
        f"--ray-client-server-port={ports.base + 2}",
        *_resources(config.ray.head, config),
    ]
    environment = {
        **_environment(config, HEAD, ports=ports, folders=folders),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        # A killed cluster restores its applications when it restarts.
        "RAY_gcs_storage": "rocksdb",
        "RAY_gcs_storage_path": str(folders.state / "gcs"),
        # `raylift deploy` profiles stuck constructors with py-spy; requires the token.
        "RAY_DASHBOARD_ENABLE_PROFILING": "1",
        "AUTOSCALER_METRIC_PORT": str(ports.base + 3),
        "DASHBOARD_METRIC_PORT": str(ports.base + 4),
    }
    return Node(HEAD, argv, environment)


_PORTS = (
    "dashboard-agent-listen-port",
    "dashboard-agent-grpc-port",
    "runtime-env-agent-port",
    "metrics-export-port",
    "node-manager-port",
    "object-manager-port",
)


def raylet_port(ports: range) -> int:
    """Return the port of a node's raylet, which listens while it runs."""
    return ports[_PORTS.index("node-manager-port")]


def _ray_start(folders: Folders, ports: range) -> list[str]:
    return [
        str(Path(sys.executable).with_name("ray")),
        "start",
        "--block",
        "--disable-usage-stats",
        "--log-color=false",
        f"--temp-dir={folders.ray}",
        "--min-worker-port=0",
        "--max-worker-port=0",
        *(f"--{name}={port}" for name, port in zip(_PORTS, ports, strict=False)),
    ]


def node_mark(name: str, indices: dict[str, int]) -> str:
    """Return a label such as `l4-0.3`, which changes when a node is restarted.

    Ray treats a restarted node as a new node.
    """
    return f"{name}.{indices[name]}"


def _resources(
    node: Head | NodeGroup, config: LocalConfig, *, mark: str = ""
) -> list[str]:
    labels = {**node.labels, **({NODE_LABEL: mark} if mark else {})}
    options: dict[str, Any] = {
        "num-cpus": node.num_cpus if node.num_cpus is None else int(node.num_cpus),
        "num-gpus": node.num_gpus,
        "memory": node.memory,
        "object-store-memory": config.ray.object_store_memory,
        "resources": json.dumps(node.resources) if node.resources else None,
        "labels": ",".join(f"{k}={v}" for k, v in sorted(labels.items())) or None,
    }
    return [f"--{key}={value}" for key, value in options.items() if value is not None]


# Defaults that `ray.env` of the stack file can override.
_TUNED = {
    # Interval of Serve's control loop: new weights take effect after 0.15 s instead of
    # 0.28 s, for 2.5 % of a core (measured).
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.05",
    # Maximum age of metrics, which determine the verdict on a canary. Ray's default is
    # 10 s.
    "RAY_metrics_report_interval_ms": "2500",
    # Ray abandons a dashboard after 60 s of startup, and the dashboard abandons a
    # module after 30 s (ray/_private/ray_constants.py, dashboard/consts.py).
    "RAY_DASHBOARD_STARTUP_TIMEOUT_S": "300",
    # A raylet exits if its agent takes more than 30 s to register.
    "RAY_agent_register_timeout_ms": "300000",
    "RAY_DASHBOARD_SUBPROCESS_MODULE_WAIT_READY_TIMEOUT": "300",
}


def _environment(
    config: LocalConfig, name: str, *, ports: Ports, folders: Folders
) -> dict[str, str]:
    path = (str(folders.site), config.ray.env.get("PYTHONPATH", ""))
    has_haproxy = config.ray.ingress == "haproxy"
    return {
        **_TUNED,
        **serve_proxy.tuned(config.ray.ingress),
        **config.ray.env,
        "PYTHONPATH": ":".join(filter(None, path)),
        **(_haproxy(ports, folders) if has_haproxy else {}),
        "TMPDIR": str(folders.temporary),
        STACK_MARK: str(folders.state),
        NODE_MARK: name,
        # Ray's agents and the parts of its dashboard would overwrite these marks with
        # their title (setproctitle).
        "SPT_NOENV": "1",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folders.token),
    }


def _haproxy(ports: Ports, folders: Folders) -> dict[str, str]:
    folder = folders.haproxy
    settings = {
        "CONFIG_FILE_LOC": folder / "haproxy.cfg",
        "SOCKET_PATH": folder / "admin.sock",
        "METRICS_SOCKET_PATH": folder / "metrics.sock",
        "SERVER_STATE_BASE": folder,
        "SERVER_STATE_FILE": folder / "server-state",
        # HAProxy never opens these two ports; see infra/serve_proxy.py.
        "METRICS_PORT": ports.base + 5,
        "STATS_PORT": ports.base + 6,
    }
    return {
        **serve_proxy.haproxy(folders.state / "haproxy"),
        **{f"RAY_SERVE_HAPROXY_{key}": str(value) for key, value in settings.items()},
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports.base + 7),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(ports.base + 8),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(ports.ingress.start),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(ports.ingress.stop - 1),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(ports.grpc_ingress.start),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(ports.grpc_ingress.stop - 1),
    }
