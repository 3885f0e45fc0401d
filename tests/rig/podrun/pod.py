"""One pod, from the creation of its network namespace to its deletion."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api import MERGE_PATCH

from .container import Container
from .environment import environment
from .network import GATEWAY, Network
from .probes import Probes
from .status import Status, now, terminated, waiting
from .volumes import Volumes, kept_for, own_tmp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from api import Api

LABEL = "ray.io/node-type"
GCS_PORT = 6379


@dataclass(frozen=True)
class Machine:
    """The properties that all pods share."""

    netns: str
    run: Path  # the rig's state
    programs: Path  # the folder of `ray`
    api: Api
    head_address: Callable[[str], str | None]  # of a Ray cluster


class Pod(threading.Thread):
    """A thread that runs a pod until it is deleted.

    The other containers start and stop with the first one.
    """

    def __init__(self, machine: Machine, found: dict, network: Network) -> None:
        super().__init__(name=found["metadata"]["name"], daemon=True)
        self.machine, self.network = machine, network
        own = {"podIP": network.address, "hostIP": GATEWAY}
        self.pod = {**found, "status": {**found.get("status", {}), **own}}
        self.metadata, self.spec = found["metadata"], found["spec"]
        self.labels = self.metadata.get("labels", {})
        self.directory = machine.run / "podrun" / "pods" / self.metadata["uid"]
        self.created, self.reported = now(), Status("", {})
        self.ending, self.deadline = threading.Event(), float("inf")

    @property
    def address(self) -> str:
        """The pod's IP address."""
        return self.network.address

    @property
    def path(self) -> str:
        """The pod's path in the API."""
        metadata = self.metadata
        return f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"

    def end(self, grace: float) -> None:
        """Request the end of the pod within `grace` seconds."""
        self.deadline = min(self.deadline, time.monotonic() + grace)
        self.ending.set()

    def run(self) -> None:
        """Run the pod, in the thread."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            self.network.up()
            self.report(Status("Pending", waiting("ContainerCreating")))
            self.wait_for_head()
            self.live()
        except Exception as error:  # noqa: BLE001 - no failure may affect other pods
            print(f"{self.name}: {error!r}", file=sys.stderr, flush=True)
            wrong = waiting("CreateContainerConfigError", str(error))
            self.report(Status("Pending", wrong))
        finally:
            self.ending.wait()
            self.network.down()
            self.machine.api.call("DELETE", f"{self.path}?gracePeriodSeconds=0")

    def wait_for_head(self) -> None:
        """Wait for the GCS of a worker's cluster, as its init container does."""
        cluster = self.labels.get("ray.io/cluster", "")
        while self.labels.get(LABEL) == "worker" and not self.ending.is_set():
            with contextlib.suppress(OSError):
                if address := self.machine.head_address(cluster):
                    socket.create_connection((address, GCS_PORT), 1).close()
                    return
            self.ending.wait(1)

    def live(self) -> None:
        """Run the containers, and restart them unless the restart policy is Never."""
        restarts, last_state = 0, {}
        while not self.ending.is_set():
            started = now()
            code = self.run_container(restarts, last_state)
            last_state = terminated(code, started)
            never = self.spec.get("restartPolicy", "Always") == "Never"
            if never or self.ending.is_set():
                phase = "Failed" if code else "Succeeded"
                self.report(Status(phase, last_state, restarts=restarts))
                return
            restarts += 1
            back_off = min(300, 10 * 2 ** (restarts - 2)) if restarts > 1 else 0
            state = waiting("CrashLoopBackOff") if back_off else last_state
            self.report(
                Status("Running", state, restarts=restarts, last_state=last_state)
            )
            self.ending.wait(back_off)

    def run_container(self, restarts: int, last_state: dict) -> int:
        """Run the containers once; return the exit status of the first one."""
        main, *others = self.spec["containers"]
        container, started = self.launch(main, self.directory, restarts), now()
        beside = [
            self.launch(spec, self.directory / spec["name"], restarts)
            for spec in others
        ]
        probes = Probes(container)
        while container.process.poll() is None:
            self.report(
                Status(
                    "Running",
                    {"running": {"startedAt": started}},
                    ready=probes.ready,
                    started=probes.startup.passed,
                    restarts=restarts,
                    last_state=last_state,
                )
            )
            if self.ending.wait(0.1) or probes.failed:
                container.stop(self.time_left())
                break
            probes.step()
        for each in beside:
            each.stop(lambda: 0)
        return container.process.wait()

    def launch(self, spec: dict, directory: Path, restarts: int) -> Container:
        """Start a container with an empty /tmp, which only this run uses."""
        machine, tmp = self.machine, directory / f"tmp.{restarts}"
        tmp.mkdir(parents=True, exist_ok=True)
        port = machine.api.address.rpartition(":")[2]
        defaults = {
            "PATH": f"{machine.programs}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": str(directory),
            "LANG": "C.UTF-8",
            "RAY_USAGE_STATS_ENABLED": "0",
            "KUBERNETES_SERVICE_HOST": GATEWAY,
            "KUBERNETES_SERVICE_PORT_HTTPS": port,
        }
        values = environment(machine.api, self.pod, spec, defaults)
        volumes = Volumes(machine.api, self.pod, self.directory)
        kept = [*kept_for(machine.run, machine.programs), *volumes.folders()]
        container = Container(spec, self.address, values, directory)
        container.start(
            self.network.name,
            [*own_tmp(tmp, kept), *volumes.commands(spec, values)],
        )
        return container

    def time_left(self) -> Callable[[], float]:
        """Return a function for the seconds until a container must have stopped."""
        grace = self.spec.get("terminationGracePeriodSeconds", 30)
        own = time.monotonic() + grace
        return lambda: min(own, self.deadline) - time.monotonic()

    def report(self, status: Status) -> None:
        """Send a new status to the API server."""
        if status == self.reported:
            return
        self.reported = status
        body = {
            "metadata": {"uid": self.metadata["uid"]},
            "status": status.of(self.spec, self.address, self.created),
        }
        self.machine.api.call("PATCH", f"{self.path}/status", body, content=MERGE_PATCH)
