"""The program that starts and stops pods.

Usage: `python -m podrun NETNS RUN PROGRAMS`. NETNS is the rig's network namespace; the
program must run in it, as root, but not in a separate mount namespace. RUN is the
folder with the rig's state. PROGRAMS is the folder that contains `ray`.
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

PACKAGES = "raylift.io/component=packages"


class Host:
    """The pods on this machine: one for each bound pod, until that is deleted."""

    def __init__(self, netns: str, run: Path, programs: Path) -> None:
        self.api, self.names = Api(run), Names(netns)
        self.machine = Machine(netns, run, programs, self.api, self.head_address)
        self.pods: dict[str, Pod] = {}
        self.numbers = itertools.count(1)
        self.addresses: dict[str, Iterator[str]] = {}  # node → its addresses, cyclic

    def head_address(self, cluster: str) -> str | None:
        """Return the address of the newest head of a Ray cluster."""
        heads = [
            pod.address
            for pod in list(self.pods.values())
            if pod.labels.get("ray.io/cluster") == cluster
            and pod.labels.get(LABEL) == "head"
        ]
        return heads[-1] if heads else None

    def address(self, node: str) -> str:
        """Return the next free address of the node's podCIDR.

        An address is reused as late as possible, because ARP caches contain it.
        """
        if node not in self.addresses:
            spec = (self.api.call("GET", f"/api/v1/nodes/{node}") or {})["spec"]
            hosts = map(str, ipaddress.ip_network(spec["podCIDR"]).hosts())
            self.addresses[node] = itertools.cycle(hosts)
        used = {pod.address for pod in self.pods.values()} | {GATEWAY}
        return next(each for each in self.addresses[node] if each not in used)

    def step(self) -> None:
        """Start pods that were bound, and stop pods that were deleted."""
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
        """Return {UID: pod of Ray, or of a package store, that has a node}."""
        pods = [
            pod
            for selector in (f"{LABEL} in (head,worker)", PACKAGES)
            for pod in self.api.items(
                f"/api/v1/pods?labelSelector={urllib.parse.quote(selector)}"
            )
        ]
        return {p["metadata"]["uid"]: p for p in pods if p["spec"].get("nodeName")}

    def end(self, pod: Pod, found: dict | None) -> None:
        """Stop a pod that is terminating, or was deleted by force."""
        if found is None:
            pod.end(grace=0)
        elif "deletionTimestamp" in found["metadata"]:
            pod.end(found["metadata"].get("deletionGracePeriodSeconds", 30))

    def admit(self, uid: str, found: dict) -> Pod | None:
        """Return a Pod for a new pod; delete a terminating pod and return None."""
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
        """Return {(namespace, Service): address of the newest pod that it selects}."""
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
        """Kill the processes of an earlier run, and delete its network namespaces."""
        for name in re.findall(
            rf"^({self.machine.netns}-p\d+)\b", ip("netns", "list"), re.MULTILINE
        ):
            for pid in ip("netns", "pids", name).split():
                os.kill(int(pid), signal.SIGKILL)
            Network(self.machine.netns, name, "").down()

    def close(self) -> None:
        """Stop all pods at once."""
        deadline = time.monotonic() + 5
        for pod in self.pods.values():
            pod.end(grace=0)
        for pod in self.pods.values():
            pod.join(max(0, deadline - time.monotonic()))
        self.clean()
        self.names.write({})


def main(netns: str, run: str, programs: str) -> None:
    """Poll every 0.5 s until SIGTERM."""
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
