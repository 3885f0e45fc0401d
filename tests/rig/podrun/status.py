"""The status of a pod, as a kubelet writes it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from .network import GATEWAY


def now() -> str:
    """Return the current time in Kubernetes' format."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def terminated(code: int, started: str) -> dict:
    """Return the state of a container that has exited."""
    reason = "Completed" if code == 0 else "Error"
    times = {"startedAt": started, "finishedAt": now()}
    return {"terminated": {"exitCode": code, "reason": reason, **times}}


def waiting(reason: str, message: str = "") -> dict:
    """Return the state of a container that is not running."""
    return {"waiting": {"reason": reason, "message": message}}


@dataclass(frozen=True)
class Status:
    """The variable part of a pod's status; an equal one is not sent again."""

    phase: str
    state: dict
    ready: bool = False
    started: bool = False
    restarts: int = 0
    last_state: dict = field(default_factory=dict)

    def of(self, spec: dict, address: str, created: str) -> dict:
        """Return the complete status of a pod with this specification."""
        ready = str(self.ready)
        conditions = {
            "PodScheduled": "True",
            "PodReadyToStartContainers": "True",
            "Initialized": "True",
            "ContainersReady": ready,
            "Ready": ready,
        }
        done = {"ready": True, "restartCount": 0, "state": terminated(0, created)}
        return {
            "phase": self.phase,
            "podIP": address,
            "podIPs": [{"ip": address}],
            "hostIP": GATEWAY,
            "hostIPs": [{"ip": GATEWAY}],
            "startTime": created,
            "conditions": [
                {"type": kind, "status": value, "lastTransitionTime": now()}
                for kind, value in conditions.items()
            ],
            "initContainerStatuses": _each(spec.get("initContainers", []), done),
            "containerStatuses": _each(spec["containers"], self._of_container()),
        }

    def _of_container(self) -> dict:
        return {
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last_state,
        }


def _each(containers: list[dict], status: dict) -> list[dict]:
    return [
        {"name": each["name"], "image": each["image"], "imageID": "", **status}
        for each in containers
    ]
