"""Reasons why the pods of a Ray cluster are not running; pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NEVER = ("InvalidImageName", "ErrImageNeverPull")
_WAITING = ("CreateContainerConfigError", "ErrImagePull", "ImagePullBackOff")
# KubeRay's message about a pod that the API server rejected, and the reason's start.
_NOT_CREATED = re.compile(r"Failed to create (?:head|worker) Pod .*?, (.+)", re.DOTALL)
_FORBIDDEN = re.compile(r'pods "[^"]*" is forbidden: ')


@dataclass(frozen=True, slots=True)
class Trouble:
    """The reason from Kubernetes why a pod is not running.

    `is_permanent` is true if the pod can never start.
    """

    subject: str
    text: str
    is_permanent: bool = False

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


def trouble_of(pod: dict[str, Any]) -> Trouble | None:
    """Return why a pod is not running, or None if its status does not tell."""
    subject = f"pod {pod['metadata']['name']}"
    for condition in pod["status"].get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            text = condition.get("message") or condition.get("reason", "")
            return Trouble(subject, text)
    for reason, message in _waiting(pod):
        if reason in (*_NEVER, *_WAITING):
            return Trouble(subject, f"{reason}: {message}", reason in _NEVER)
    return None


def waits_for_volumes(pod: dict[str, Any]) -> bool:
    """Return whether a pod is on a node, but its containers do not exist yet."""
    return any(reason == "ContainerCreating" for reason, _ in _waiting(pod))


def mount_troubles(
    pods: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]]
) -> list[Trouble]:
    """Return why pods wait for their volumes, from events with reason FailedMount."""
    texts = {
        e["involvedObject"]["name"]: e.get("message", "") for e in _by_time(events)
    }
    names = [pod["metadata"]["name"] for pod in pods]
    return [Trouble(f"pod {name}", texts[name]) for name in names if name in texts]


def creation_trouble(kind: str, events: Sequence[dict[str, Any]]) -> Trouble | None:
    """Return why the API server rejected a head or a worker, from KubeRay's events.

    Their reasons are FailedToCreateHeadPod and FailedToCreateWorkerPod (KubeRay 1.6).
    """
    for event in reversed(_by_time(events)):
        if match := _NOT_CREATED.match(event.get("message", "")):
            return Trouble(
                f"{kind} pod", f"not created: {_FORBIDDEN.sub('', match[1])}"
            )
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


def _by_time(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(events, key=last_seen)


def _waiting(pod: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the reason and message of each container that waits."""
    for container in pod["status"].get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        yield waiting.get("reason", ""), waiting.get("message", "")
