"""Where the code packages of a stack are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raylift.infra.kubernetes.config import KubernetesConfig

STORE_PORT = 8081


def packages_uri(config: KubernetesConfig, stack: str) -> str:
    """Return the URI that the names of code packages are appended to, or "".

    It is that of a bucket, or of the package store in the cluster.
    """
    if config.package_volume is None:
        return config.packages or ""
    # HTTP proxies usually exclude the domain `.svc`.
    host = f"{store_name(stack)}.{config.kubernetes.namespace}.svc"
    return f"http://{host}:{STORE_PORT}"


def store_name(stack: str) -> str:
    """Return the name of the package store's objects."""
    return f"{stack}-packages"
