"""EC2 instance types as AWS describes them, and their capacity for pods."""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class InstanceType:
    """An instance type. `gpu` is NVIDIA's name of the GPU model, or empty.

    A type such as g6f has a fraction of a GPU: `gpu` is set, but `gpus` is 0. `memory`
    and `gpu_memory` are in bytes; `efa` is the number of network cards with EFA.
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
        """Whether it has only whole GPUs, or none."""
        return not self.gpu or self.gpus > 0

    @property
    def family(self) -> str:
        """The instance family, such as `g6e` for g6e.xlarge."""
        return self.name.split(".", maxsplit=1)[0]

    @property
    def pod_cpus(self) -> int:
        """Whole CPUs for the only Ray pod of a node.

        One CPU is left for DaemonSets and for the kubelet, which reserves 60 m to 480 m
        on Bottlerocket and AL2023.
        """
        return max(1, self.vcpus - 1)

    @property
    def pod_memory(self) -> int:
        """Bytes for the only Ray pod of a node, in whole GiB.

        The kernel, the kubelet's reserve (255 MiB, 11 MiB per pod and an eviction
        threshold of 100 MiB) and DaemonSets take up to 15 % and 1 GiB.
        """
        return max(1, int(self.memory * 0.85 / GIB - 1)) * GIB


@functools.cache
def instance_types() -> dict[str, InstanceType]:
    """Return every known type by name."""
    table = resources.files("raylift.infra.aws").joinpath("instance_types.tsv")
    lines = table.read_text(encoding="utf-8").splitlines()
    return {each.name: each for each in map(_parse, lines[2:])}


def types_of(names: Iterable[str]) -> list[InstanceType]:
    """Return the types with these names, in the same order."""
    return [instance_types()[name] for name in names]


def closest(name: str) -> list[str]:
    """Return up to three names of known types similar to `name`, the nearest first."""
    return difflib.get_close_matches(name, instance_types(), n=3)


def smallest_with_efa(family: str) -> str:
    """Return the smallest type of a family with EFA, or "" if there is none."""
    types = [t for t in instance_types().values() if t.family == family and t.efa]
    return min(types, key=lambda found: found.vcpus).name if types else ""


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
