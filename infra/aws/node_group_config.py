"""Stack file sections for the nodes of target `aws`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from raylift.infra.aws.instance_types import types_of
from raylift.infra.aws.types import InstanceTypeNames
from raylift.infra.config.base import Section
from raylift.infra.config.types import Labels, Name, Resources
from raylift.infra.kubernetes.types import Auto, Count, LabelKey, LabelValue

if TYPE_CHECKING:
    from raylift.infra.aws.instance_types import InstanceType

AmiType = Literal[
    "AL2023_x86_64_NVIDIA",
    "AL2023_ARM_64_NVIDIA",
    "AL2023_x86_64_STANDARD",
    "AL2023_ARM_64_STANDARD",
    "BOTTLEROCKET_x86_64_NVIDIA",
    "BOTTLEROCKET_ARM_64_NVIDIA",
    "BOTTLEROCKET_x86_64",
    "BOTTLEROCKET_ARM_64",
]


class SystemNodeGroup(Section):
    """CPU nodes for the Ray head, the operator and add-ons."""

    instance_types: InstanceTypeNames = ["m7i.xlarge", "m6i.xlarge"]
    """Instance types of one size and architecture, without GPUs; at most 20."""

    min_size: Annotated[int, Field(ge=1)] = 2
    """Minimum number of nodes, at least 1."""

    max_size: Count = 4
    """Maximum number of nodes, at least 1."""

    def types(self) -> list[InstanceType]:
        """Return the instance types of the group."""
        return types_of(self.instance_types)


class Disk(Section):
    """The root volume of a node: gp3, encrypted."""

    size_gib: Annotated[int, Field(ge=20, le=16384)] = 200
    """Size in GiB, 20 to 16384; at least 100 for nodes with GPUs."""

    throughput_mibps: Annotated[int, Field(ge=125, le=1000)] = 500
    """Throughput in MiB/s, 125 to 1000."""

    iops: Annotated[int, Field(ge=3000, le=16000)] = 3000
    """I/O operations per second, 3000 to 16000."""

    snapshot_id: str | None = None
    """Snapshot to create the volume from, such as one with container images."""


class WarmPool(Section):
    """A pool of initialized nodes, used when the group scales up."""

    min_size: Count = 0
    """Minimum number of nodes in the pool."""

    max_prepared_capacity: Count | None = None
    """Maximum number of nodes in the pool and in service combined.

    Defaults to `maxSize`.
    """

    pool_state: Literal["STOPPED", "RUNNING", "HIBERNATED"] = "STOPPED"
    """State of the nodes in the pool. Bottlerocket does not support `HIBERNATED`."""

    reuse_on_scale_in: bool = False
    """Whether nodes return to the pool when the group scales down.

    It is not supported with Bottlerocket.
    """


class NodeTaint(Section):
    """A taint of every node in a group, in the notation of Kubernetes."""

    key: LabelKey
    """Key of the taint, such as `nvidia.com/gpu`."""

    value: LabelValue = ""
    """Value of the taint."""

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = "NoSchedule"
    """Effect on pods that do not tolerate the taint."""


class NodeGroup(Section):
    """An EKS managed node group: nodes of one shape for Ray workers."""

    name: Name
    """Name of the group, unique in the stack and not `system`.

    Lowercase letters, digits and `-`, at most 20 characters.
    """

    instance_types: InstanceTypeNames
    """Instance types of one size, architecture and GPU model, such as `g6e.xlarge`.

    At most 20. For spot nodes, list several types, so that EC2 has more capacity
    pools to choose from.
    """

    capacity_type: Literal["ON_DEMAND", "SPOT", "CAPACITY_BLOCK"] = "ON_DEMAND"
    """Purchase option of the nodes.

    `CAPACITY_BLOCK` requires `capacityReservationId`, one type and one zone.
    """

    capacity_reservation_id: str | None = None
    """ID of a capacity reservation or capacity block that the nodes use.

    It is not supported with spot nodes.
    """

    min_size: Count = 0
    """Minimum number of nodes."""

    max_size: Count = 1
    """Maximum number of nodes, at least 1."""

    desired_size: Count | None = None
    """Initial number of nodes; the autoscaler changes it later.

    Defaults to `minSize`.
    """

    availability_zones: Annotated[list[str] | None, Auto] = None
    """Zones of the nodes. Defaults to those of the network that offer the types."""

    ami_type: Annotated[AmiType | None, Auto] = None
    """EKS AMI type. It must match the architecture of the instance types.

    By default, AL2023 with NVIDIA drivers on nodes with GPUs.
    """

    disk: Disk = Disk()
    """The root volume of each node."""

    instance_store: Literal["raid0", "none"] = "raid0"
    """Whether containers use the local NVMe disks of a node, as one RAID 0 volume.

    It has no effect on Bottlerocket, or on types without such disks.
    """

    efa: bool = False
    """Whether nodes have an Elastic Fabric Adapter and are in one placement group.

    It requires types with EFA and exactly one zone.
    """

    placement_group: Literal["cluster"] | None = None
    """Placement of the nodes: `cluster` puts them close together."""

    labels: Labels = {}
    """Labels of each node, and Ray labels of its workers for `label_selector`."""

    resources: Resources = {}
    """Custom Ray resources of each worker and their amounts, such as `{fast: 3}`."""

    taints: Annotated[list[NodeTaint] | None, Auto] = None
    """Taints of each node, at most 50. By default, `nvidia.com/gpu` on nodes with GPUs.

    Ray workers of the group tolerate them.
    """

    update_strategy: Literal["DEFAULT", "MINIMAL"] = "DEFAULT"
    """How an update replaces nodes.

    `MINIMAL` removes a node before it adds the next, so it needs no extra capacity.
    """

    warm_pool: WarmPool | None = None
    """Pool of initialized nodes. Only supported with `ON_DEMAND`."""

    node_repair: bool = True
    """Whether EKS repairs unhealthy nodes automatically."""

    def types(self) -> list[InstanceType]:
        """Return the instance types of the group."""
        return types_of(self.instance_types)

    @property
    def has_gpus(self) -> bool:
        """Whether nodes of the group have NVIDIA GPUs."""
        return any(found.gpus for found in self.types())
