"""Nodes with the labels that EKS sets.

Usage: `nodes.py CPU-NODES GPU-NODES | kubectl create -f -`. The API server keeps the
status of a new node, because kubelets register in this way. KWOK's stage
node-initialize keeps existing sizes and addresses.
"""

from __future__ import annotations

import json
import sys

GPU_TAINT = {"key": "nvidia.com/gpu", "value": "true", "effect": "NoSchedule"}
GPU_LABELS = {
    "nvidia.com/gpu.present": "true",
    "k8s.amazonaws.com/accelerator": "nvidia-a10g",
}


def labels(name: str, group: str, instance_type: str) -> dict[str, str]:
    """Return the labels of every EKS node."""
    return {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": instance_type,
        "eks.amazonaws.com/nodegroup": group,
        "topology.kubernetes.io/region": "us-east-1",
        "topology.kubernetes.io/zone": "us-east-1a",
        "type": "kwok",
    }


def status(name: str, size: dict[str, str]) -> dict:
    """Return the status of a node of this size; the empty strings are required."""
    info = {
        "architecture": "amd64",
        "operatingSystem": "linux",
        "kubeletVersion": "v1.36.2",
        "containerRuntimeVersion": "containerd://2.1.0",
        "kernelVersion": "6.12.0-kwok",
    }
    empty = ("bootID", "kubeProxyVersion", "machineID", "osImage", "systemUUID")
    return {
        "addresses": [
            {"type": "InternalIP", "address": "127.0.0.1"},
            {"type": "Hostname", "address": name},
        ],
        "capacity": size,
        "allocatable": size,
        "nodeInfo": {**info, **dict.fromkeys(empty, "")},
    }


def node(name: str, group: str, instance_type: str, **size: str) -> dict:
    """Return a manifest; with GPUs, it has the taint and labels of a GPU node group."""
    size = {"pods": "110", "ephemeral-storage": "200Gi", **size}
    gpu = "nvidia.com/gpu" in size
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
            "labels": labels(name, group, instance_type) | (GPU_LABELS if gpu else {}),
        },
        "spec": {"taints": [GPU_TAINT] if gpu else []},
        "status": status(name, size),
    }


def main(cpus: int, gpus: int) -> None:
    """Print a List of the nodes of both groups."""
    gpu_size = {"cpu": "48", "memory": "192Gi", "nvidia.com/gpu": "4"}
    items = [
        node(f"cpu-{number}", "cpu", "m6i.4xlarge", cpu="16", memory="64Gi")
        for number in range(cpus)
    ]
    items += [
        node(f"gpu-{number}", "gpu", "g5.12xlarge", **gpu_size)
        for number in range(gpus)
    ]
    json.dump({"apiVersion": "v1", "kind": "List", "items": items}, sys.stdout)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
