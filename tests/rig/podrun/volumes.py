"""Shell commands that mount a container's volumes.

They run in the container's mount namespace, so no mount remains when the container
exits. Every container has a separate /tmp, /mnt, /run and /dev/shm. Elsewhere, a volume
requires an existing folder on the machine, because podrun must not leave new folders.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .environment import config_map, expand, field, secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from api import Api

TMP, SHARED_MEMORY = Path("/tmp"), Path("/dev/shm")
OWN = (TMP, Path("/mnt"), Path("/run"), SHARED_MEMORY)
TOKEN_SECONDS = 3600
QUANTITY = re.compile(r"(\d+)([KMG])i")


class Unusable(ValueError):
    """The error for a volume that the rig does not support."""


class Volumes:
    """The volumes of a pod; those with its lifetime are below `directory`."""

    def __init__(self, api: Api, pod: dict, directory: Path) -> None:
        self.api, self.pod, self.directory = api, pod, directory
        self.namespace = pod["metadata"]["namespace"]
        self.volumes = {each["name"]: each for each in pod["spec"].get("volumes", [])}

    def folders(self) -> list[Path]:
        """Return the folders of the machine that the pod mounts."""
        found = [
            each["hostPath"] for each in self.volumes.values() if "hostPath" in each
        ]
        return [Path(each["path"]) for each in found]

    def commands(self, container: dict, values: dict[str, str]) -> Iterator[str]:
        """Yield the commands for one container with the environment `values`."""
        yield "mount -t tmpfs none /mnt"
        yield "mount -t tmpfs none /run"
        # containerd's default size.
        yield f"mount -t tmpfs -o size=64m none {SHARED_MEMORY}"
        mounts = sorted(
            container.get("volumeMounts", []), key=lambda mount: mount["mountPath"]
        )
        # /var/run is a link to /run.
        targets = [Path(mount["mountPath"]).resolve() for mount in mounts]
        for mount, target in zip(mounts, targets, strict=True):
            _check(target, [*OWN, *targets])
            yield from self._mount(mount, target, values)

    def _mount(
        self, mount: dict, target: Path, values: dict[str, str]
    ) -> Iterator[str]:
        where, volume = shlex.quote(str(target)), self.volumes[mount["name"]]
        yield f"mkdir -p {where}"
        if volume.get("emptyDir", {}).get("medium") == "Memory":
            yield f"mount -t tmpfs {_size(volume['emptyDir'])} none {where}"
            return
        sub = mount.get("subPath") or expand(mount.get("subPathExpr", ""), values)
        source = shlex.quote(str(self._source(volume) / sub))
        yield f"mkdir -p {source}"
        yield f"mount --bind {source} {where}"
        if mount.get("readOnly"):
            yield f"mount -o remount,bind,ro {where}"

    def _source(self, volume: dict) -> Path:
        if "hostPath" in volume:
            return Path(volume["hostPath"]["path"])
        if "emptyDir" in volume:
            return self.directory / "volumes" / volume["name"]
        if claim := volume.get("persistentVolumeClaim"):
            return self._claimed(claim["claimName"])
        if projected := volume.get("projected"):
            files = (f for source in projected["sources"] for f in self._files(source))
            return self._written(volume["name"], files, mode=_mode(projected))
        if reference := volume.get("configMap"):
            data = config_map(self.api, self.namespace, reference["name"])
            return self._written(volume["name"], data.items(), mode=_mode(reference))
        if reference := volume.get("secret"):
            data = secrets(self.api, self.namespace, reference["secretName"])
            return self._written(volume["name"], data.items(), mode=_mode(reference))
        raise Unusable(
            f"the rig does not support the kind of volume {volume['name']!r}"
        )

    def _claimed(self, name: str) -> Path:
        place = f"/api/v1/namespaces/{self.namespace}/persistentvolumeclaims/{name}"
        claim = self.api.call("GET", place) or {"spec": {}}
        bound = claim["spec"].get("volumeName")
        volume = bound and self.api.call("GET", f"/api/v1/persistentvolumes/{bound}")
        if not volume:
            raise Unusable(f"claim {name!r} is not bound to a volume")
        return Path(volume["spec"]["hostPath"]["path"])

    def _written(
        self, name: str, files: Iterable[tuple[str, str]], *, mode: int
    ) -> Path:
        """Write the files, (path, text), to a folder of the pod, and return it."""
        folder = self.directory / "volumes" / name
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in files:
            (folder / path).write_text(text, encoding="utf-8")
            (folder / path).chmod(mode)
        return folder

    def _files(self, source: dict) -> Iterator[tuple[str, str]]:
        """Yield (path, text) of a source; pods are too short-lived to renew tokens."""
        if token := source.get("serviceAccountToken"):
            yield token["path"], self._token()
        if wanted := source.get("configMap"):
            found = config_map(self.api, self.namespace, wanted["name"])
            for item in wanted["items"]:
                yield item["path"], found[item["key"]]
        for item in source.get("downwardAPI", {}).get("items", ()):
            yield item["path"], field(self.pod, item["fieldRef"]["fieldPath"])

    def _token(self) -> str:
        account = self.pod["spec"]["serviceAccountName"]
        place = f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_SECONDS},
        }
        answer = self.api.call("POST", place, body)
        if not answer:
            raise Unusable(f"service account {account!r} not found")
        return answer["status"]["token"]


def own_tmp(folder: Path, kept: Iterable[Path]) -> Iterator[str]:
    """Yield commands that mount `folder` as /tmp and keep the paths in `kept`."""
    for path in kept:
        if path.is_relative_to(TMP):
            source = shlex.quote(str(path))
            copy = shlex.quote(str(folder / path.relative_to(TMP)))
            yield f"mkdir -p {source} {copy}"
            yield f"mount --bind {source} {copy}"
    yield f"mount --rbind {shlex.quote(str(folder))} {TMP}"


def kept_for(run: Path, programs: Path) -> list[Path]:
    """Return the machine's paths that a container needs: the rig's state and Python."""
    return [run, programs.parent, Path(sys.prefix), Path(sys.base_prefix)]


def _check(target: Path, places: list[Path]) -> None:
    inside = any(place in target.parents for place in places)
    if not inside and not target.is_dir():
        raise Unusable(
            f"the rig can mount volumes below {', '.join(map(str, OWN))}, or on an"
            f" existing folder, but not at {target}"
        )


def _mode(volume: dict) -> int:
    return volume.get("defaultMode", 0o644)


def _size(empty: dict) -> str:
    limit = QUANTITY.fullmatch(empty.get("sizeLimit", ""))
    return f"-o size={limit[1]}{limit[2].lower()}" if limit else ""
