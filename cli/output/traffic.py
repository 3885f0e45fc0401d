"""What `raylift traffic` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cli.output.terminal import out, print_json, table
from serve_runtime.traffic.figures import Figures

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serve_runtime.traffic.split import Split


def show_split(split: Split, done: Mapping[str, Figures], *, as_json: bool) -> None:
    """The weights of a splitter, and what its arms did since its replicas started."""
    rows = [_arm(split, name, done.get(name, Figures())) for name in split.arms]
    if as_json:
        print_json({"version": 1, "arms": rows, "mirror": split.mirror})
        return
    shown = table("arm", "share", "requests", "failed", "p50", "p95")
    for row in rows:
        shown.add_row(
            row["arm"], f"{row['share']:.1%}", f"{row['requests']}", f"{row['errors']}",
            _ms(row["p50_ms"]), _ms(row["p95_ms"]),
        )  # fmt: skip
    out.print(shown)
    for name, percent in split.mirror.items():
        out.print(f"mirror: copies of {percent:g} % go to {name}")


def shares(split: Split) -> str:
    """`sends 90 % to v1, 10 % to v2`."""
    total = sum(split.arms.values())
    parts = [f"{w / total * 100:.4g} % to {a}" for a, w in split.arms.items() if w > 0]
    return f"sends {', '.join(parts)}"


def _arm(split: Split, name: str, done: Figures) -> dict[str, Any]:
    return {
        "arm": name,
        "weight": split.arms[name],
        "share": split.arms[name] / sum(split.arms.values()),
        "requests": int(done.requests),
        "errors": int(done.errors),
        "p50_ms": done.latency_ms(0.5),
        "p95_ms": done.latency_ms(0.95),
    }


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} ms"
