"""A pod's network namespace, and the host names in it."""

from __future__ import annotations

import contextlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

GATEWAY = "10.244.0.1"
NETNS = Path("/etc/netns")


def ip(*words: str) -> str:
    """Run `ip` and return its output; raise CalledProcessError if it fails."""
    return subprocess.run(
        ["ip", *words], check=True, text=True, capture_output=True
    ).stdout


def hosts_of(netns: str) -> Path:
    """Return a namespace's hosts file, which iproute2 mounts over /etc/hosts."""
    return NETNS / netns / "hosts"


@dataclass(frozen=True)
class Network:
    """A pod's network: one interface on the rig's bridge, and the rig's hosts file."""

    rig: str  # the rig's namespace
    name: str
    address: str

    def up(self) -> None:
        """Create the namespace."""
        self._write_etc()
        ip("netns", "add", self.name)
        host = f"v{self.name}"
        pair = f"link add {host} type veth peer name eth0 netns {self.name}"
        ip("-n", self.rig, *pair.split())
        ip("-n", self.rig, *f"link set {host} master cni0 up".split())
        for command in (
            "link set lo up",
            f"addr add {self.address}/16 dev eth0",
            "link set eth0 up",
            f"route add default via {GATEWAY}",
        ):
            ip("-n", self.name, *command.split())

    def _write_etc(self) -> None:
        etc = NETNS / self.name
        etc.mkdir(parents=True, exist_ok=True)
        (etc / "hosts").unlink(missing_ok=True)
        (etc / "hosts").symlink_to(hosts_of(self.rig))  # one file for all pods
        # A resolver address without a server fails at once: gRPC's resolver queries it
        # for an IPv6 address of every name in the hosts file.
        (etc / "resolv.conf").write_text(
            "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", encoding="utf-8"
        )

    def down(self) -> None:
        """Delete the namespace and its files, if they exist."""
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("netns", "del", self.name)
        for name in ("hosts", "resolv.conf"):
            (NETNS / self.name / name).unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            (NETNS / self.name).rmdir()


class Names:
    """A hosts file with the names of all Services, which replaces DNS."""

    def __init__(self, netns: str) -> None:
        self.file = hosts_of(netns)
        self.base = self.file.read_text(encoding="utf-8").split("# pods\n")[0]

    def write(self, addresses: dict[tuple[str, str], str]) -> None:
        """Write {(namespace, Service): address} in place: the file is bind-mounted."""
        lines = [_line(*key, address) for key, address in addresses.items()]
        text = self.base + "# pods\n" + "".join(lines)
        if self.file.read_text(encoding="utf-8") == text:
            return
        with self.file.open("r+", encoding="utf-8") as file:
            file.write(text)
            file.truncate()


def _line(namespace: str, service: str, address: str) -> str:
    domain = f"{service}.{namespace}"
    names = (service, domain, f"{domain}.svc", f"{domain}.svc.cluster.local")
    return f"{address} {' '.join(names)}\n"
