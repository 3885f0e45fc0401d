"""python -m podrun NETNS RUN PROGRAMS: pods as they come and go.

NETNS: the rig's network namespace, in which it has to run, as root, but not in a
mount namespace of its own. RUN: the rig's state. PROGRAMS: the folder of `ray`.
"""

from __future__ import annotations

import http.client
import ipaddress
import itertools
import os
import re
import signal
import sys
import time
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

from api import Api

from .network import GATEWAY, Names, Network, ip
from .pod import LABEL, Machine, Pod

if TYPE_CHECKING:
    from collections.abc import Iterator


class Host:
    """Starts a Pod for each pod that is bound, and ends it when it is deleted."""

    def __init__(self, netns: str, run: Path, programs: Path) -> None:
        self.api, self.names = Api(run), Names(netns)
        self.machine = Machine(netns, run, programs, self.api, self.head_address)
        self.pods: dict[str, Pod] = {}
        self.numbers = itertools.count(1)
        self.addresses: dict[str, Iterator[str]] = {}  # node → its, round and round

    def head_address(self, cluster: str) -> str | None:
        """Of the newest head of a Ray cluster."""
        heads = [
            pod.address
            for pod in list(self.pods.values())
            if pod.labels.get("ray.io/cluster") == cluster
            and pod.labels[LABEL] == "head"
        ]
        return heads[-1] if heads else None

    def address(self, node: str) -> str:
        """The next free one of the node's podCIDR.

        One that was free a moment ago is in everybody's ARP cache.
        """
        if node not in self.addresses:
            spec = (self.api.call("GET", f"/api/v1/nodes/{node}") or {})["spec"]
            hosts = map(str, ipaddress.ip_network(spec["podCIDR"]).hosts())
            self.addresses[node] = itertools.cycle(hosts)
        used = {pod.address for pod in self.pods.values()} | {GATEWAY}
        return next(each for each in self.addresses[node] if each not in used)

    def step(self) -> None:
        """Looks once at what is wanted."""
        bound = self.bound()
        for uid, pod in list(self.pods.items()):
            self.end(pod, bound.get(uid))
            if not pod.is_alive():
                del self.pods[uid]
        fresh = [
            self.admit(uid, found)
            for uid, found in bound.items()
            if uid not in self.pods
        ]
        self.names.write(self.services())
        for pod in filter(None, fresh):
            pod.start()

    def bound(self) -> dict[str, dict]:
        """{uid: Ray pod that has a node}."""
        label = urllib.parse.quote(f"{LABEL} in (head,worker)")
        pods = self.api.items(f"/api/v1/pods?labelSelector={label}")
        return {p["metadata"]["uid"]: p for p in pods if p["spec"].get("nodeName")}

    def end(self, pod: Pod, found: dict | None) -> None:
        """Ends a pod that is to be deleted, or was by force."""
        if found is None:
            pod.end(grace=0)
        elif "deletionTimestamp" in found["metadata"]:
            pod.end(found["metadata"].get("deletionGracePeriodSeconds", 30))

    def admit(self, uid: str, found: dict) -> Pod | None:
        """A Pod for it; none for one that has ended, here or in an earlier run."""
        metadata = found["metadata"]
        if "deletionTimestamp" in metadata:
            path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
            self.api.call("DELETE", f"{path}?gracePeriodSeconds=0")
            return None
        name = f"{self.machine.netns}-p{next(self.numbers)}"
        address = self.address(found["spec"]["nodeName"])
        network = Network(self.machine.netns, name, address)
        self.pods[uid] = Pod(self.machine, found, network)
        return self.pods[uid]

    def services(self) -> dict[tuple[str, str], str]:
        """{(namespace, service): the address of the newest pod that it selects}."""
        found = {}
        for service in self.api.items("/api/v1/services"):
            metadata = service["metadata"]
            selector = service["spec"].get("selector") or {}
            for pod in self.pods.values():
                if (
                    selector
                    and pod.metadata["namespace"] == metadata["namespace"]
                    and selector.items() <= pod.labels.items()
                    and not pod.ending.is_set()
                ):
                    found[metadata["namespace"], metadata["name"]] = pod.address
        return found

    def clean(self) -> None:
        """Ends what an earlier run of this program has left, by its own namespaces."""
        for name in re.findall(
            rf"^({self.machine.netns}-p\d+)\b", ip("netns", "list"), re.MULTILINE
        ):
            for pid in ip("netns", "pids", name).split():
                os.kill(int(pid), signal.SIGKILL)
            Network(self.machine.netns, name, "").down()

    def close(self) -> None:
        """Ends all pods, at once."""
        deadline = time.monotonic() + 5
        for pod in self.pods.values():
            pod.end(grace=0)
        for pod in self.pods.values():
            pod.join(max(0, deadline - time.monotonic()))
        self.clean()
        self.names.write({})


def main(netns: str, run: str, programs: str) -> None:
    """Looks twice a second, until it is told to end."""
    host = Host(netns, Path(run), Path(programs))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    host.clean()
    try:
        while True:
            try:
                host.step()
            except (OSError, http.client.HTTPException) as error:
                print(repr(error), file=sys.stderr, flush=True)
            time.sleep(0.5)
    finally:
        host.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
