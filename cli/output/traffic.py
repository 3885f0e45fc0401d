"""The output of `traffic`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.cli.output.terminal import out, print_json, table
from raylift.serve_runtime.deploy.traffic_stats import ArmStats

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raylift.serve_runtime.splitter.split import Split


def show_split(split: Split, stats: Mapping[str, ArmStats], *, as_json: bool) -> None:
    """Print a splitter's weights, and the requests of its arms since its start."""
    rows = [_arm(split, name, stats.get(name, ArmStats())) for name in split.arms]
    if as_json:
        print_json({"version": 1, "arms": rows, "mirror": split.mirror})
        return
    arms = table("arm", "share", "requests", "failed", "p50", "p95")
    for row in rows:
        arms.add_row(
            row["arm"], f"{row['share']:.1%}", f"{row['requests']}", f"{row['errors']}",
            _ms(row["p50_ms"]), _ms(row["p95_ms"]),
        )  # fmt: skip
    out.print(arms)
    for name, percent in split.mirror.items():
        out.print(f"mirror: {percent:g}% of requests are copied to {name}")


def shares(split: Split) -> str:
    """Return `sends 90% to v1, 10% to v2`."""
    total = sum(split.arms.values())
    parts = [f"{w / total * 100:.4g}% to {a}" for a, w in split.arms.items() if w > 0]
    return f"sends {', '.join(parts)}"


def _arm(split: Split, name: str, stats: ArmStats) -> dict[str, Any]:
    return {
        "arm": name,
        "weight": split.arms[name],
        "share": split.arms[name] / sum(split.arms.values()),
        "requests": int(stats.requests),
        "errors": int(stats.errors),
        "p50_ms": stats.latency_ms(0.5),
        "p95_ms": stats.latency_ms(0.95),
    }


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} ms"
