"""What each arm of a splitter did: requests, errors, latency; and the judgement."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from serve_runtime.metrics import scrape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from serve_runtime.dashboard import Dashboard
    from serve_runtime.metrics import Sample

_PREFIX = "ray_raylift_traffic_"
# What a new version may do worse before it is judged bad.
_MORE_ERRORS = 0.01
_SLOWER = 1.5
_SLOWER_MS = 50.0


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of one arm; `buckets` maps an upper bound in ms to requests up to it."""

    requests: float = 0
    errors: float = 0
    buckets: Mapping[float, float] = field(default_factory=dict)

    @property
    def error_rate(self) -> float:
        """Errors of all requests, 0 to 1."""
        return self.errors / self.requests if self.requests else 0.0

    def latency_ms(self, quantile: float) -> float | None:
        """Time to the first byte that this share of the answers kept; None without."""
        bounds = sorted(self.buckets)
        wanted = quantile * self.buckets[bounds[-1]] if bounds else 0
        if not wanted:
            return None
        low, below = 0.0, 0.0
        for bound in bounds:
            count = self.buckets[bound]
            if count >= wanted:
                share = (wanted - below) / (count - below)
                return low if bound == float("inf") else low + share * (bound - low)
            low, below = bound, count
        return low


@dataclass(frozen=True, slots=True)
class Look:
    """The counts of a splitter's replicas at one moment, by arm and replica."""

    counts: Mapping[tuple[str, str], Figures]

    def since(self, before: Look) -> dict[str, Figures]:
        """What each arm did between two looks.

        A replica that is new since counts from 0; one that is gone does not count.
        """
        arms: dict[str, Figures] = {}
        for (arm, replica), now in self.counts.items():
            then = before.counts.get((arm, replica), Figures())
            arms[arm] = _add(arms.get(arm, Figures()), _add(now, then, sign=-1))
        return arms


NOTHING = Look({})


def look(dashboard: Dashboard, splitter: str) -> Look:
    """The counts of one splitter now.

    Raises:
        Unreachable: the dashboard does not answer.
    """
    return collect(scrape(dashboard, _PREFIX), splitter)


def collect(samples: Iterable[Sample], splitter: str) -> Look:
    """Ray's samples as counts; answers to copies of requests are left out."""
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
    return Look(
        {
            key: Figures(count, errors[key], buckets[key])
            for key, count in requests.items()
        }
    )


def judge(new: Figures, old: Figures) -> str:
    """Why the new version must not go on, in one line; empty if it may."""
    if not new.requests:
        return "no request reached it: no data to judge by"
    if not old.requests:
        return "no request reached the old version: nothing to compare with"
    if new.error_rate > old.error_rate + _MORE_ERRORS:
        return f"{_errors(new)} failed, of the old version {_errors(old)}"
    slow, usual = new.latency_ms(0.95), old.latency_ms(0.95)
    if slow and usual and slow > usual * _SLOWER + _SLOWER_MS:
        return f"95 % answer within {slow:.0f} ms, of the old version {usual:.0f} ms"
    return ""


def _errors(figures: Figures) -> str:
    return f"{figures.errors:.0f} of {figures.requests:.0f} requests"


def _add(one: Figures, other: Figures, *, sign: int = 1) -> Figures:
    return Figures(
        one.requests + sign * other.requests,
        one.errors + sign * other.errors,
        {
            bound: one.buckets.get(bound, 0) + sign * other.buckets.get(bound, 0)
            for bound in one.buckets.keys() | other.buckets.keys()
        },
    )
