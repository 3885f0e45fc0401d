"""Stack file sections for what users add to pods, and where pods run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from raylift.infra.config.base import Section
from raylift.infra.config.types import Bytes, Name
from raylift.infra.kubernetes.types import LabelKey, LabelValue, MountPath, ObjectName


class Toleration(Section):
    """A taint that pods tolerate."""

    key: LabelKey
    """Key of the taint, such as `nvidia.com/gpu`."""

    value: LabelValue | None = None
    """Value of the taint. By default, every value is tolerated."""

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint. By default, every effect is tolerated."""


class EnvSource(Section):
    """An object whose keys become environment variables: a ConfigMap or a Secret."""

    config_map: ObjectName | None = None
    """ConfigMap in the namespace of the stack."""

    secret: ObjectName | None = None
    """Secret in the namespace of the stack."""


class Volume(Section):
    """A volume of every Ray pod. Exactly one of its four sources is required."""

    name: Name
    """Name of the volume, unique in the stack.

    Lowercase letters, digits and `-`, at most 20 characters.
    """

    mount_path: MountPath
    """Absolute path in the pods, such as `/models`."""

    read_only: bool = False
    """Whether the pods can only read the volume."""

    persistent_volume_claim: ObjectName | None = None
    """Claim in the namespace of the stack that several pods can mount at once.

    Its access mode must be `ReadWriteMany` or `ReadOnlyMany`, unless all pods run on
    one node.
    """

    config_map: ObjectName | None = None
    """ConfigMap in the namespace of the stack; one file per key."""

    secret: ObjectName | None = None
    """Secret in the namespace of the stack; one file per key."""

    empty_dir: Bytes | None = None
    """Size limit of an empty directory that each pod gets on the disk of its node.

    In bytes or with a unit, such as `100Gi`; at least `1Mi`.
    """


class TopologySpread(Section):
    """A rule that spreads the workers of a group over nodes or zones."""

    topology_key: LabelKey
    """Label of nodes, such as `topology.kubernetes.io/zone`."""

    max_skew: Annotated[int, Field(ge=1)] = 1
    """Largest difference between the numbers of workers for two values of the label."""

    when_unsatisfiable: Literal["ScheduleAnyway", "DoNotSchedule"] = "ScheduleAnyway"
    """Whether a worker that breaks the rule starts anyway or stays pending."""
