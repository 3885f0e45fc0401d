"""Ray's metrics, read as Prometheus reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from serve_runtime.dashboard import Dashboard

_SECONDS = 5.0


class Sample(NamedTuple):
    """One value: its name as exposed, its labels."""

    name: str
    labels: dict[str, str]
    value: float


def scrape(dashboard: Dashboard, prefix: str) -> list[Sample]:
    """Every sample of the cluster whose name begins with `prefix`.

    A target that does not answer is left out, as Prometheus would.

    Raises:
        Unreachable: the dashboard does not say where the targets are.
    """
    return [
        sample
        for target in dashboard.metric_targets()
        if (answer := dashboard.transport.metrics(target, wait_s=_SECONDS))
        for sample in _parse(answer.text, prefix)
    ]


def _parse(text: str, prefix: str) -> Iterator[Sample]:
    from prometheus_client.parser import text_string_to_metric_families

    # Ray exposes thousands of lines; only ours are worth the parser's time.
    lines = [line for line in text.splitlines() if line.startswith(prefix)]
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            yield Sample(sample.name, sample.labels, float(sample.value))
