"""EC2 instance types as AWS describes them: a table, and what of a node pods get."""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from infra.config import NotKnown

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class InstanceType:
    """One type. `gpu` is NVIDIA's name of the model, empty without a GPU.

    A type such as g6f has a fraction of a GPU: a `gpu`, and 0 `gpus`.
    """

    name: str
    arch: str
    vcpus: int
    memory: int
    gpu: str
    gpus: int
    gpu_memory: int
    efa: int
    nvme_gb: int
    capacity_blocks: bool

    @property
    def is_whole(self) -> bool:
        """Whether it has no GPU or whole ones."""
        return not self.gpu or self.gpus > 0

    @property
    def family(self) -> str:
        """`g6e` of g6e.xlarge."""
        return self.name.split(".", maxsplit=1)[0]

    @property
    def pod_cpus(self) -> int:
        """Whole CPUs for one Ray pod that has the node to itself.

        The kubelet keeps a little of them and DaemonSets ask for some more
        (bottlerocket and AL2023 reserve 60 m to 480 m), so one is left to them.
        """
        return max(1, self.vcpus - 1)

    @property
    def pod_memory(self) -> int:
        """Bytes for one Ray pod that has the node to itself, in whole GiB.

        The kernel, the kubelet's reserve (11 MiB a pod and 255 MiB more, and 100 MiB
        until it evicts) and DaemonSets take up to 15 % and 1 GiB.
        """
        return max(1, int(self.memory * 0.85 / GIB - 1)) * GIB


@functools.cache
def instance_types() -> dict[str, InstanceType]:
    """Every type that raylift knows, by name."""
    table = resources.files("infra.aws").joinpath("instance_types.tsv")
    lines = table.read_text(encoding="utf-8").splitlines()
    return {found.name: found for found in map(_parse, lines[2:])}


def types_of(names: Iterable[str]) -> list[InstanceType]:
    """The types of these names, in their order.

    Raises:
        NotKnown: one is not in the table, or has a part of a GPU.
    """
    found = [instance_types().get(name) for name in names]
    if not all(kind and kind.is_whole for kind in found):
        raise NotKnown
    return [kind for kind in found if kind]


def closest(name: str) -> list[str]:
    """Names of known types that look like `name`, the nearest first."""
    return difflib.get_close_matches(name, instance_types(), n=3)


def smallest_with_efa(family: str) -> str:
    """The smallest type of a family that has an EFA; empty without one."""
    able = [t for t in instance_types().values() if t.family == family and t.efa]
    return min(able, key=lambda found: found.vcpus).name if able else ""


def _parse(line: str) -> InstanceType:
    name, arch, vcpus, memory, gpu, gpus, gpu_memory, efa, nvme, blocks = line.split(
        "\t"
    )
    return InstanceType(
        name=name,
        arch=arch,
        vcpus=int(vcpus),
        memory=int(memory) * MIB,
        gpu=gpu.strip("-").replace("_", " "),
        gpus=int(gpus),
        gpu_memory=int(gpu_memory) * MIB,
        efa=int(efa),
        nvme_gb=int(nvme),
        capacity_blocks=blocks == "yes",
    )
