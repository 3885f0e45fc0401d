"""`python -m bench [NAME…]`: run the benchmarks and print one table.

`python -m bench critical-path [STACK]` measures nothing. It estimates what `up` waits
for.
"""

from __future__ import annotations

import importlib
import sys

from bench.rounds import Row, show

NAMES = ("cli", "up", "deploy", "packing", "traffic", "splitter")


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all of them."""
    rows: list[Row] = []
    for name in names or NAMES:
        print(f"measuring {name} …", file=sys.stderr)
        rows += importlib.import_module(f"bench.{name}").rows()
    show(rows)


if sys.argv[1:2] == ["critical-path"]:
    importlib.import_module("bench.critical_path").main(*sys.argv[2:])
else:
    main(sys.argv[1:])
