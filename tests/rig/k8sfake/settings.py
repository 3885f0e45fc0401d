"""Settings of the provider: its flags and its API server."""

from __future__ import annotations

import contextlib
import os

import httpx2

from .cluster import ApiError, Cluster, parse

FLAGS = {
    "enablePatchForce": "PULUMI_K8S_ENABLE_PATCH_FORCE",
    "enableConfigMapMutable": "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE",
    "enableSecretMutable": "PULUMI_K8S_ENABLE_SECRET_MUTABLE",
    "upsertExistingObjects": "PULUMI_K8S_UPSERT_EXISTING_OBJECTS",
    "deleteUnreachable": "PULUMI_K8S_DELETE_UNREACHABLE",
}


def flags(settings):
    """Return {flag: whether it is set}, from the settings or the environment."""
    return {
        name: str(settings.get(name) or os.environ.get(variable)).lower() == "true"
        for name, variable in FLAGS.items()
    }


def connect(settings):
    """Return (Cluster, None), or (Cluster or None, why it is unreachable)."""
    cluster = None
    try:
        cluster = Cluster(settings)
        cluster.send("GET", "/version")
    except (httpx2.HTTPError, ApiError) as error:
        why = f"unable to load schema information from the API server: {error}"
        return cluster, why
    except Exception as error:  # noqa: BLE001 - a kubeconfig can be invalid in many ways
        what = "failed to parse kubeconfig data in `kubernetes:config:kubeconfig`"
        return cluster, f"{what}- {error}"
    return cluster, None


def active_cluster(settings):
    """Return the cluster in the settings, or None if they are invalid."""
    with contextlib.suppress(Exception):
        config = parse(settings.get("kubeconfig"))
        return config.get(settings.get("context") or None).cluster
    return None
