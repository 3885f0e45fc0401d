"""Ray's metrics in the Prometheus format."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raylift.serve_runtime.ray_api.dashboard import Dashboard

_SECONDS = 20.0


class Sample(NamedTuple):
    """A metric sample."""

    name: str
    labels: dict[str, str]
    value: float


def scrape(dashboard: Dashboard, prefix: str) -> list[Sample]:
    """Return all samples of the cluster whose names start with `prefix`.

    Targets that do not respond are skipped, as in Prometheus.

    Raises:
        Unreachable: The dashboard does not list the targets.
    """
    return [
        sample
        for target in dashboard.metric_targets()
        if (response := dashboard.transport.metrics(target, wait_s=_SECONDS))
        for sample in _parse(response.text, prefix)
    ]


def _parse(text: str, prefix: str) -> Iterator[Sample]:
    from prometheus_client.parser import text_string_to_metric_families

    # Ray exposes thousands of lines, and the parser is slow.
    lines = [line for line in text.splitlines() if line.startswith(prefix)]
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            yield Sample(sample.name, sample.labels, float(sample.value))
