"""Reasons why the pods of a Ray cluster are not running; pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from raylift.messages import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NEVER = ("InvalidImageName", "ErrImageNeverPull")
_WAITING = ("CreateContainerConfigError", "ErrImagePull", "ImagePullBackOff")
_NOT_STARTED = ("ContainerCreating", "PodInitializing")
_FORBIDDEN = re.compile(r'^pods "[^"]*" is forbidden: ')
# KubeRay's condition ReplicaFailure has one of these reasons if the API server rejects
# a pod (KubeRay 1.6: ray-operator/controllers/ray/utils/constant.go).
_REJECTED = {"head": "FailedCreateHeadPod", "worker": "FailedCreateWorkerPod"}
# Reasons of events about the volumes of a pod.
_VOLUMES = ("FailedMount", "FailedAttachVolume")
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class Trouble:
    """The reason from Kubernetes why a pod is not running, as one line.

    `is_permanent` is true if the pod can never start.
    """

    subject: str
    text: str
    is_permanent: bool = False

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"

    @classmethod
    def of(cls, subject: str, text: str, *, is_permanent: bool = False) -> Trouble:
        """Return a trouble with the escaped start of a text."""
        return cls(subject, printable(text, limit=_LONGEST), is_permanent)


def trouble_of(pod: dict[str, Any]) -> Trouble | None:
    """Return why a pod is not running, or None if its status gives no reason."""
    subject = f"pod {pod['metadata']['name']}"
    for condition in conditions(pod, "PodScheduled"):
        if condition["status"] == "False":
            text = condition.get("message") or condition.get("reason", "")
            return Trouble.of(subject, text)
    for reason, message in _waiting(pod):
        if reason in (*_NEVER, *_WAITING):
            never = reason in _NEVER
            return Trouble.of(subject, f"{reason}: {message}", is_permanent=never)
    return None


def waits_for_volumes(pod: dict[str, Any]) -> bool:
    """Return whether a pod is on a node, but its volumes may not be mounted yet.

    Kubernetes 1.28 lacks the condition that tells it.
    """
    if pod["status"].get("phase") != "Pending":
        return False
    if ready := conditions(pod, "PodReadyToStartContainers"):
        return any(condition["status"] == "False" for condition in ready)
    return any(reason in _NOT_STARTED for reason, _ in _waiting(pod))


def volume_troubles(
    pods: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]]
) -> list[Trouble]:
    """Return why some of these pods wait for their volumes, from events about pods."""
    texts = {
        event["involvedObject"]["name"]: event.get("message", "")
        for event in sorted(events, key=last_seen)
        if event.get("reason") in _VOLUMES
    }
    names = [pod["metadata"]["name"] for pod in pods if waits_for_volumes(pod)]
    return [Trouble.of(f"pod {n}", texts[n]) for n in names if n in texts]


def rejection(kind: str, cluster: dict[str, Any], pods: int) -> Trouble | None:
    """Return why the API server rejects a head or a worker of a RayCluster.

    `pods` is the number of existing pods. KubeRay may keep an old reason although none
    is missing.
    """
    status = cluster.get("status") or {}
    wanted = 1 if kind == "head" else status.get("desiredWorkerReplicas", 0)
    if pods >= wanted:
        return None
    for condition in conditions(cluster, "ReplicaFailure"):
        if condition.get("reason") == _REJECTED[kind]:
            error = condition.get("message", "").partition("\n")[2]
            reason = _FORBIDDEN.sub("", error)
            return Trouble.of(f"{kind} pod", f"not created: {reason}")
    return None


def last_seen(event: dict[str, Any]) -> float:
    """Return when an event occurred last, in seconds since the epoch; 0 if unknown.

    KubeRay 1.7 writes events of `events.k8s.io`, which have no `lastTimestamp`.
    """
    series = event.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
    )
    return max(datetime.fromisoformat(t).timestamp() if t else 0.0 for t in times)


def conditions(found: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the conditions of a type in the status of an object."""
    every = (found.get("status") or {}).get("conditions") or []
    return [condition for condition in every if condition["type"] == kind]


def _waiting(pod: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the reason and message of each container that waits.

    KubeRay adds an init container to workers, which pulls the image first.
    """
    status = pod["status"]
    for kind in ("initContainerStatuses", "containerStatuses"):
        for container in status.get(kind) or []:
            waiting = (container.get("state") or {}).get("waiting") or {}
            yield waiting.get("reason", ""), waiting.get("message", "")
