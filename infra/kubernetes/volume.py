"""A volume that a stack claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raylift.infra.kubernetes.pod_template import byte_quantity


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume to claim: its StorageClass, and its size in bytes.

    The class is always explicit. If Kubernetes added it, a later apply without it would
    try to remove it, and the class of a claim cannot change.
    """

    storage_class: str
    size: int

    def claim(self) -> Any:  # noqa: ANN401 PersistentVolumeClaimSpecArgsDict
        """Return the spec of the claim."""
        return {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": self.storage_class,
            "resources": {"requests": {"storage": byte_quantity(self.size)}},
        }
