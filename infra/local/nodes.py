"""Pure: a stack file and its ports → the `ray start` of every node.

All of Ray listens on loopback. Ray would replace 127.0.0.1 by the machine's outward
address and open its ports to the network; two of its own switches stop that:
`RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0` (ray/_private/services.py, get_node_ip_address)
for the head, and a head address of 0.0.0.0, from which a further node finds
127.0.0.1 to be its own address, for the others. Its gRPC servers have no switch: see
`loopback.py`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.local.processes import NODE_MARK, STACK_MARK
from raylift.outputs import NODE_LABEL

if TYPE_CHECKING:
    from infra.local.config import Head, LocalConfig, NodeGroup
    from infra.local.ports import Ports

HEAD = "head"
STREAM_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Folders:
    """Where a stack keeps things. `ray` is short: socket paths end at 107 bytes."""

    state: Path
    ray: Path

    @property
    def token(self) -> Path:
        """Ray's token, readable by its owner only."""
        return self.state / "token"

    @property
    def haproxy(self) -> Path:
        """HAProxy's configuration and sockets."""
        return self.ray / "h"

    @property
    def temporary(self) -> Path:
        """What Ray's processes take for the system's temporary folder.

        What multiprocessing forks from does not clear up there when it is ended.
        """
        return self.ray / "t"

    @property
    def site(self) -> Path:
        """What Python runs first in each of Ray's processes."""
        return self.state / "site"

    @property
    def empty(self) -> Path:
        """Where Ray starts: its folder comes ahead of every code package."""
        return self.state / "cwd"


@dataclass(frozen=True, slots=True)
class Node:
    """One node: its name, what to run, and what to add to the environment."""

    name: str
    argv: list[str]
    environment: dict[str, str]


def plan_nodes(
    config: LocalConfig, *, ports: Ports, indices: dict[str, int], folders: Folders
) -> list[Node]:
    """Every node that the stack file asks for, the head first.

    `indices` says which ten ports of the block each node has.
    """
    nodes = [_head(config, ports=ports, folders=folders)]
    for group in config.node_groups:
        for number in range(group.min_size):
            name = f"{group.name}-{number}"
            argv = [
                *_ray_start(folders, ports.of_node(indices[name])),
                f"--address=0.0.0.0:{ports.gcs}",
                *_claims(group, config, mark=node_mark(name, indices)),
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
        *_claims(config.ray.head, config),
    ]
    environment = {
        **_environment(config, HEAD, ports=ports, folders=folders),
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        # A cluster that was killed comes back with its applications.
        "RAY_gcs_storage": "rocksdb",
        "RAY_gcs_storage_path": str(folders.state / "gcs"),
        # py-spy of a stuck constructor, asked by `raylift deploy`; behind the token.
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
    """Where the raylet of a node with these ports listens, for as long as it lives."""
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
    """`l4-0.3`: a node that is started again is another one to Ray, and to us."""
    return f"{name}.{indices[name]}"


def _claims(
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


# What `ray.env` of the stack file may set otherwise.
_TUNED = {
    # A dead proxy is noticed in 3.5 s and not in 25 (measured on 2.60).
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "2",
    # How often Serve's controller looks: new weights are live in 0.15 s, not 0.28,
    # for 2.5 % of a core (measured).
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.05",
    # How old metrics may be: what a canary is judged by. Ray's default is 10 s.
    "RAY_metrics_report_interval_ms": "2500",
}


def _environment(
    config: LocalConfig, name: str, *, ports: Ports, folders: Folders
) -> dict[str, str]:
    path = (str(folders.site), config.ray.env.get("PYTHONPATH", ""))
    return {
        **_TUNED,
        **config.ray.env,
        "PYTHONPATH": ":".join(filter(None, path)),
        **(_haproxy(ports, folders) if config.ray.ingress == "haproxy" else {}),
        "TMPDIR": str(folders.temporary),
        STACK_MARK: str(folders.state),
        NODE_MARK: name,
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
        "BINARY_PATH": folders.state / "haproxy",
        # Ours never opens these two: see infra/local/haproxy.py.
        "METRICS_PORT": ports.base + 5,
        "STATS_PORT": ports.base + 6,
        # A reload ends what streams after this time (ray#66056; Ray's default: 120).
        "HARD_STOP_AFTER_S": STREAM_SECONDS,
    }
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        **{f"RAY_SERVE_HAPROXY_{key}": str(value) for key, value in settings.items()},
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports.base + 7),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(ports.base + 8),
        "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": str(ports.ingress.start),
        "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": str(ports.ingress.stop - 1),
        "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": str(ports.grpc_ingress.start),
        "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": str(ports.grpc_ingress.stop - 1),
        # How long a stopping replica waits for load balancers to forget it. Ours is
        # told within 0.2 s; Ray's default (30) makes each delete take half a minute.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
    }
