"""Progress of the engine by resource, derived from its events.

It covers running and completed steps, the slowest step, and the plan of a preview.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raylift.infra.stack import RunningStep, StackChange

if TYPE_CHECKING:
    from pulumi.automation.events import PropertyDiff, StepEventMetadata

_ACTIONS = {
    "create": "create",
    "update": "change",
    "delete": "delete",
    "replace": "replace",
    "create-replacement": "replace",
    "delete-replaced": "replace",
}
_DONE = {
    "create": "created",
    "change": "changed",
    "delete": "deleted",
    "replace": "replaced",
}
# Replacing a resource of these types loses the data that it stores.
STATEFUL = frozenset(
    {
        "aws:ec2/vpc:Vpc",
        "aws:eks/cluster:Cluster",
        "aws:elasticache/replicationGroup:ReplicationGroup",
        "aws:kms/key:Key",
        "aws:s3/bucket:Bucket",
        "kubernetes:core/v1:Namespace",
        "kubernetes:core/v1:PersistentVolumeClaim",
        "kubernetes:ray.io/v1:RayService",
    }
)
_SLOW_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """A change to a resource: type, name, action, and changed inputs."""

    urn: str
    kind: str
    name: str
    action: str
    differs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Done:
    """A completed change to a resource, and its duration in seconds."""

    action: str
    kind: str
    name: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.action} {self.kind} {self.name} ({self.seconds:.1f} s)"


@dataclass
class EngineProgress:
    """All steps of an operation, ordered by their start."""

    _steps: dict[str, Step] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)
    _took: dict[str, float] = field(default_factory=dict)

    def begin(self, metadata: StepEventMetadata) -> None:
        """Record the start of a step if it changes something."""
        action = _ACTIONS.get(metadata.op.value)
        if action is None or metadata.type == "pulumi:pulumi:Stack":
            return
        step = Step(
            urn=metadata.urn,
            kind=metadata.type,
            name=metadata.urn.rsplit("::", 1)[-1],
            action=action,
            differs=_differs(metadata),
        )
        earlier = self._steps.get(step.urn)
        # The order matters, because `now` may run in another thread.
        self._since.setdefault(step.urn, time.monotonic())
        self._steps[step.urn] = earlier if earlier and earlier.differs else step

    def end(self, urn: str) -> Done | None:
        """Record the end of a step; return None if it changed nothing."""
        step = self._steps.get(urn)
        if step is None:
            return None
        self._took[urn] = took = time.monotonic() - self._since[urn]
        return Done(_DONE[step.action], step.kind, step.name, round(took, 1))

    def now(self) -> list[RunningStep]:
        """Return all started steps with their current duration."""
        moment = time.monotonic()
        return [
            RunningStep(
                step.kind, step.name, moment - self._since[urn], urn in self._took
            )
            for urn, step in list(self._steps.items())
        ]

    def slowest(self) -> str:
        """Return the slowest step and its duration, or "" if none exceeded 1 s."""
        if not self._took:
            return ""
        urn = max(self._took, key=lambda urn: self._took[urn])
        seconds = self._took[urn]
        return (
            f"{self._steps[urn]} ({seconds:.0f} s)" if seconds > _SLOW_SECONDS else ""
        )

    def changes(self) -> list[StackChange]:
        """Return the steps as a plan."""
        return [
            StackChange(step.action, str(step), ", ".join(step.differs))
            for step in self._steps.values()
        ]


def _differs(metadata: StepEventMetadata) -> tuple[str, ...]:
    """Return the inputs that differ; of a replacement, only those that cause it.

    Some providers report only a detailed difference.
    """
    detailed = metadata.detailed_diff or {}
    causes = [path for path, diff in detailed.items() if _replaces(diff)]
    return tuple(metadata.keys or causes or metadata.diffs or detailed)


def _replaces(diff: PropertyDiff) -> bool:
    return diff.diff_kind.value.endswith("-replace")
