"""What the engine does to each resource, from its events."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from infra.stack import Change, Working

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
# What they keep is gone when they are replaced.
STATEFUL = frozenset(
    {
        "aws:ec2/vpc:Vpc",
        "aws:eks/cluster:Cluster",
        "aws:elasticache/replicationGroup:ReplicationGroup",
        "aws:kms/key:Key",
        "aws:s3/bucket:Bucket",
        "kubernetes:core/v1:Namespace",
        "kubernetes:ray.io/v1:RayService",
    }
)
_SLOW_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """One resource: its type and name, what is done to it, and which inputs differ."""

    urn: str
    kind: str
    name: str
    action: str
    differs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Done:
    """What the engine has done to a resource, and in how many seconds."""

    action: str
    kind: str
    name: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.action} {self.kind} {self.name} ({self.seconds:.1f} s)"


@dataclass
class Steps:
    """All steps of one operation, in the order in which they began."""

    begun: dict[str, Step] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)
    _took: dict[str, float] = field(default_factory=dict)

    def begin(self, metadata: Any) -> None:  # noqa: ANN401 Pulumi's event
        """Note a step, if it changes something."""
        action = _ACTIONS.get(str(getattr(metadata.op, "value", metadata.op)))
        if action is None or metadata.type == "pulumi:pulumi:Stack":
            return
        step = Step(
            urn=metadata.urn,
            kind=metadata.type,
            name=metadata.urn.rsplit("::", 1)[-1],
            action=action,
            differs=tuple(metadata.diffs or ()),
        )
        before = self.begun.get(step.urn)
        self._since.setdefault(step.urn, time.monotonic())  # `now` may be reading
        self.begun[step.urn] = before if before and before.differs else step

    def end(self, urn: str) -> Done | None:
        """Note that a step is done; what it did, if it did anything."""
        step = self.begun.get(urn)
        if step is None:
            return None
        self._took[urn] = took = time.monotonic() - self._since[urn]
        return Done(_DONE[step.action], step.kind, step.name, round(took, 1))

    def now(self) -> list[Working]:
        """What the engine has begun, in this order, as it is at this moment."""
        moment = time.monotonic()
        return [
            Working(step.kind, step.name, moment - self._since[urn], urn in self._took)
            for urn, step in list(self.begun.items())
        ]

    def slowest(self) -> str:
        """The step that took longest, if it took long."""
        if not self._took:
            return ""
        urn = max(self._took, key=lambda urn: self._took[urn])
        seconds = self._took[urn]
        return f"{self.begun[urn]} ({seconds:.0f} s)" if seconds > _SLOW_SECONDS else ""

    def changes(self) -> list[Change]:
        """The steps as a plan."""
        return [
            Change(step.action, str(step), ", ".join(step.differs))
            for step in self.begun.values()
        ]
