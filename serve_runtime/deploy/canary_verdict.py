"""The verdict on a canary step: whether the new version is worse than the old one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from raylift.serve_runtime.deploy.traffic_stats import ArmStats

# How much worse than the old version a new one may be.
_MAX_ADDED_ERROR_RATE = 0.01
_MAX_LATENCY_FACTOR = 1.5
_MAX_ADDED_LATENCY_MS = 50.0


def analyze(new: ArmStats, old: ArmStats) -> str:
    """Return why the new version is worse than the old one, or an empty string."""
    if not new.requests:
        return "no requests reached the new version, so it cannot be judged"
    if not old.requests:
        return (
            "no requests reached the old version, so there is nothing to compare with"
        )
    if new.error_rate > old.error_rate + _MAX_ADDED_ERROR_RATE:
        return (
            f"{new.errors:.0f} of {new.requests:.0f} requests failed"
            f" (old version: {old.errors:.0f} of {old.requests:.0f})"
        )
    new_ms, old_ms = new.latency_ms(0.95), old.latency_ms(0.95)
    if new_ms and old_ms and new_ms > _max_latency_ms(old_ms):
        return f"p95 latency is {new_ms:.0f} ms (old version: {old_ms:.0f} ms)"
    return ""


def _max_latency_ms(old_ms: float) -> float:
    return old_ms * _MAX_LATENCY_FACTOR + _MAX_ADDED_LATENCY_MS
