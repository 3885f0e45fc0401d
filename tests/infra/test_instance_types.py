"""The table of instance types is EC2's own; moto keeps a copy of what EC2 says."""

from __future__ import annotations

import functools
import gzip
import importlib.util
import json
from pathlib import Path

from raylift.infra.aws.instance_types import MIB, InstanceType, instance_types


@functools.cache
def _described() -> dict[str, dict]:
    (folder,) = importlib.util.find_spec("moto").submodule_search_locations
    path = Path(folder) / "ec2" / "resources" / "instance_types.json.gz"
    return json.loads(gzip.decompress(path.read_bytes()))


def _as_in_the_table(name: str, described: dict) -> InstanceType:
    (gpu,) = described.get("GpuInfo", {}).get("Gpus", [{}])
    network = described["NetworkInfo"]
    disks = described.get("InstanceStorageInfo", {})
    arch = [
        a for a in described["ProcessorInfo"]["SupportedArchitectures"] if "64" in a
    ]
    blocks = "capacity-block" in described["SupportedUsageClasses"]
    return InstanceType(
        name=name,
        arch=arch[-1],
        vcpus=described["VCpuInfo"]["DefaultVCpus"],
        memory=described["MemoryInfo"]["SizeInMiB"] * MIB,
        gpu=gpu.get("Name", ""),
        gpus=gpu.get("Count", 0),
        gpu_memory=gpu.get("MemoryInfo", {}).get("SizeInMiB", 0) * MIB,
        efa=network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 0),
        nvme_gb=disks.get("TotalSizeInGB", 0),
        capacity_blocks=blocks,
    )


def test_every_type_is_as_ec2_describes_it():
    described = _described()
    wrong = [
        (found, wanted)
        for name, found in instance_types().items()
        if found != (wanted := _as_in_the_table(name, described[name]))
    ]
    assert wrong == []


def test_every_type_with_a_gpu_is_in_the_table():
    gpus = {name for name, told in _described().items() if "GpuInfo" in told}
    assert gpus - instance_types().keys() == set()
