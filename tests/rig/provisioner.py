"""A double of a CSI provisioner, whose volumes are folders in the rig's state.

Usage: `provisioner.py RUN`. When the real scheduler has placed the pod of a claim of
the class `rig`, this program creates a folder and a PersistentVolume for the claim. The
real controller binds the claim to the volume. When the claim is deleted and the volume
is therefore Released, this program deletes the volume and the folder.
"""

from __future__ import annotations

import http.client
import shutil
import signal
import sys
import time
from pathlib import Path

from api import Api

NAME = "rig.local/folder"
VOLUMES = "/api/v1/persistentvolumes"
# Annotations that Kubernetes sets on a claim, and expects on the volume created for it.
NODE_CHOSEN = "volume.kubernetes.io/selected-node"
PROVISIONER_CHOSEN = "volume.kubernetes.io/storage-provisioner"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


def is_wanted(claim: dict) -> bool:
    """Return whether the claim has a node and waits for this provisioner."""
    annotations = claim["metadata"].get("annotations", {})
    return (
        not claim["spec"].get("volumeName")
        and "deletionTimestamp" not in claim["metadata"]
        and annotations.get(PROVISIONER_CHOSEN) == NAME
        and NODE_CHOSEN in annotations
    )


def volume_for(claim: dict, folder: Path) -> dict:
    """Return a PersistentVolume that is reserved for this claim."""
    metadata, spec = claim["metadata"], claim["spec"]
    reference = {key: metadata[key] for key in ("namespace", "name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": folder.name, "annotations": {PROVISIONED_BY: NAME}},
        "spec": {
            "capacity": spec["resources"]["requests"],
            "accessModes": spec["accessModes"],
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
            | reference,
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": spec["storageClassName"],
            "hostPath": {"path": str(folder)},
        },
    }


def is_released(volume: dict) -> bool:
    """Return whether this provisioner created the volume and its claim is deleted."""
    annotations = volume["metadata"].get("annotations", {})
    released = volume.get("status", {}).get("phase") == "Released"
    return released and annotations.get(PROVISIONED_BY) == NAME


def step(api: Api, folders: Path) -> None:
    """Create the requested volumes and delete the released ones."""
    for claim in filter(is_wanted, api.items("/api/v1/persistentvolumeclaims")):
        folder = folders / f"pvc-{claim['metadata']['uid']}"
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)  # a pod's fsGroup may write to its volumes
        api.call("POST", VOLUMES, volume_for(claim, folder))
    for volume in filter(is_released, api.items(VOLUMES)):
        shutil.rmtree(volume["spec"]["hostPath"]["path"], ignore_errors=True)
        api.call("DELETE", f"{VOLUMES}/{volume['metadata']['name']}")


def main(run: Path) -> None:
    """Poll every 0.5 s until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    api = Api(run)
    while True:
        try:
            step(api, run / "volumes")
        except (OSError, http.client.HTTPException) as error:
            print(repr(error), file=sys.stderr, flush=True)
        time.sleep(0.5)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
