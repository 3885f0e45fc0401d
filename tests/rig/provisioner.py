"""A double of a CSI provisioner: folders of the rig's state as volumes.

`provisioner.py RUN`. For each claim of the class `rig` whose pod the real
scheduler has placed, a folder and a PersistentVolume for it; the real controller
binds the two. When the claim is gone and the volume therefore Released, both go.
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
# What Kubernetes writes into a claim, and expects of the volume that is made for it.
NODE_CHOSEN = "volume.kubernetes.io/selected-node"
PROVISIONER_CHOSEN = "volume.kubernetes.io/storage-provisioner"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


def is_wanted(claim: dict) -> bool:
    """Whether the claim waits for a volume from here, and for its node no longer."""
    annotations = claim["metadata"].get("annotations", {})
    return (
        not claim["spec"].get("volumeName")
        and "deletionTimestamp" not in claim["metadata"]
        and annotations.get(PROVISIONER_CHOSEN) == NAME
        and NODE_CHOSEN in annotations
    )


def volume_for(claim: dict, folder: Path) -> dict:
    """A PersistentVolume that nobody but this claim may have."""
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
    """Whether the volume is from here and its claim is gone."""
    annotations = volume["metadata"].get("annotations", {})
    released = volume.get("status", {}).get("phase") == "Released"
    return released and annotations.get(PROVISIONED_BY) == NAME


def step(api: Api, folders: Path) -> None:
    """Makes what is wanted and removes what is released."""
    for claim in filter(is_wanted, api.items("/api/v1/persistentvolumeclaims")):
        folder = folders / f"pvc-{claim['metadata']['uid']}"
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o777)  # as a volume is that a fsGroup may write to
        api.call("POST", VOLUMES, volume_for(claim, folder))
    for volume in filter(is_released, api.items(VOLUMES)):
        shutil.rmtree(volume["spec"]["hostPath"]["path"], ignore_errors=True)
        api.call("DELETE", f"{VOLUMES}/{volume['metadata']['name']}")


def main(run: Path) -> None:
    """Looks twice a second, until it is told to end."""
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
