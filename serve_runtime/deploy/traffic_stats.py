"""Requests, errors and latency of a splitter's arms, from Ray's metrics."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from raylift.serve_runtime.ray_api.metrics import scrape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from raylift.serve_runtime.ray_api.dashboard import Dashboard
    from raylift.serve_runtime.ray_api.metrics import Sample

_PREFIX = "ray_raylift_traffic_"


@dataclass(frozen=True, slots=True)
class ArmStats:
    """Counts of an arm; `buckets` maps upper bounds in ms to the requests below."""

    requests: float = 0
    errors: float = 0
    buckets: Mapping[float, float] = field(default_factory=dict)

    @property
    def error_rate(self) -> float:
        """The share of requests that failed, from 0 to 1."""
        return self.errors / self.requests if self.requests else 0.0

    def latency_ms(self, quantile: float) -> float | None:
        """Return a quantile of the time to the first byte, or None without requests."""
        bounds = sorted(self.buckets)
        rank = quantile * self.buckets[bounds[-1]] if bounds else 0
        if not rank:
            return None
        low, below = 0.0, 0.0
        for bound in bounds:
            count = self.buckets[bound]
            if count >= rank:
                share = (rank - below) / (count - below)
                return low if bound == float("inf") else low + share * (bound - low)
            low, below = bound, count
        return low


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot of the counts of a splitter, by arm and replica of the splitter."""

    counts: Mapping[tuple[str, str], ArmStats]

    def since(self, before: Snapshot) -> dict[str, ArmStats]:
        """Return the counts of each arm since another snapshot.

        A replica that started since then counts from 0; one that exited is ignored.
        """
        arms: dict[str, ArmStats] = {}
        for (arm, replica), now in self.counts.items():
            then = before.counts.get((arm, replica), ArmStats())
            arms[arm] = _add(arms.get(arm, ArmStats()), _add(now, then, sign=-1))
        return arms


NOTHING = Snapshot({})


def snapshot(dashboard: Dashboard, splitter: str) -> Snapshot:
    """Return the current counts of one splitter.

    Raises:
        Unreachable: The dashboard does not respond.
    """
    return collect(scrape(dashboard, _PREFIX), splitter)


def collect(samples: Iterable[Sample], splitter: str) -> Snapshot:
    """Return the counts in Prometheus samples, without mirrored requests."""
    requests: dict[tuple[str, str], float] = defaultdict(float)
    errors: dict[tuple[str, str], float] = defaultdict(float)
    buckets: dict[tuple[str, str], dict[float, float]] = defaultdict(dict)
    for name, labels, value in samples:
        if labels.get("application") != splitter or labels.get("role") != "serve":
            continue
        key = (labels["arm"], labels["replica"])
        match name.removeprefix(_PREFIX):
            case "requests_total":
                requests[key] += value
            case "errors_total":
                errors[key] += value
            case "latency_ms_bucket":
                buckets[key][float(labels["le"])] = value
    return Snapshot(
        {
            key: ArmStats(count, errors[key], buckets[key])
            for key, count in requests.items()
        }
    )


def _add(one: ArmStats, other: ArmStats, *, sign: int = 1) -> ArmStats:
    return ArmStats(
        one.requests + sign * other.requests,
        one.errors + sign * other.errors,
        {
            bound: one.buckets.get(bound, 0) + sign * other.buckets.get(bound, 0)
            for bound in one.buckets.keys() | other.buckets.keys()
        },
    )
