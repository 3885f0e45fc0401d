"""The metrics of a splitter, in Ray."""

from __future__ import annotations

from typing import Any

from ray.serve import metrics

_LATENCY_MS = [
    5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000,
    7500, 10_000, 15_000, 30_000, 60_000,
]  # fmt: skip


class ArmMetrics:
    """Requests, errors and latencies by arm, as Ray metrics.

    `role` is serve or mirror. Latency is the time to the first byte of the response. A
    missing response and a status of 500 or above count as errors.
    """

    def __init__(self) -> None:
        tags: Any = ("arm", "role")  # Ray's annotation is tuple[str]
        self._requests = metrics.Counter(
            "raylift_traffic_requests", "Requests by arm.", tag_keys=tags
        )
        self._errors = metrics.Counter(
            "raylift_traffic_errors", "Requests that failed, by arm.", tag_keys=tags
        )
        self._latency = metrics.Histogram(
            "raylift_traffic_latency_ms",
            "Milliseconds to the first byte of the response, by arm.",
            boundaries=[float(bound) for bound in _LATENCY_MS],
            tag_keys=tags,
        )

    def count(self, arm: str, *, role: str, status: int, seconds: float | None) -> None:
        """Count a request; `seconds` is its latency, None without a response."""
        tags = {"arm": arm, "role": role}
        self._requests.inc(tags=tags)
        if status >= 500:  # noqa: PLR2004 the class of server errors
            self._errors.inc(tags=tags)
        if seconds is not None:
            self._latency.observe(seconds * 1000, tags=tags)
