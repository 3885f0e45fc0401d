"""Pure: operations that a killed run had begun, in an exported state of Pulumi."""

from __future__ import annotations

from pulumi.automation import Deployment

_KEY = "pending_operations"


def pending(state: Deployment) -> list[str]:
    """What was being done, as `creating aws:ec2/vpc:Vpc vpc`."""
    return [
        f"{operation['type']} {operation['resource']['type']}"
        f" {operation['resource']['urn'].rsplit('::', 1)[-1]}"
        for operation in _operations(state)
    ]


def without_pending(state: Deployment) -> Deployment:
    """The state as it was before those operations."""
    kept = {k: v for k, v in (state.deployment or {}).items() if k != _KEY}
    return Deployment(version=state.version, deployment=kept)


def _operations(state: Deployment) -> list[dict[str, dict[str, str]]]:
    return (state.deployment or {}).get(_KEY) or []
