"""A kubeconfig with embedded certificates.

Usage: `kubeconfig.py SERVER [PKI-FOLDER] > kubeconfig`. Without a folder, it is for a
server that requires no certificate.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path


def kubeconfig(server: str, pki: Path | None) -> dict:
    """Return the administrator's kubeconfig, which is written as JSON."""
    if pki is None:
        return _whole({"server": server}, {})

    def data(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    cluster = {"server": server, "certificate-authority-data": data("ca.crt")}
    user = {
        "client-certificate-data": data("admin.crt"),
        "client-key-data": data("admin.key"),
    }
    return _whole(cluster, user)


def _whole(cluster: dict, user: dict) -> dict:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "rig",
        "clusters": [{"name": "rig", "cluster": cluster}],
        "users": [{"name": "admin", "user": user}],
        "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": "admin"}}],
    }


if __name__ == "__main__":
    pki = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    json.dump(kubeconfig(sys.argv[1], pki), sys.stdout, indent=1)
