"""Packing a directory: raylift against Ray's own packager.

    .venv/bin/python bench/pack.py

5,000 files, 200 MB, every second file incompressible. `cold` is the first time,
`again` is with nothing changed. Ray's side is what `ray job submit --working-dir`
does before it uploads: it hashes the directory, and zips it if the cluster does not
have that hash; so `again` is the hash alone. Ours also searches all text for secrets
and syncs the zip to the disk. The sides take turns in one process, the files are in
the page cache.
"""

from __future__ import annotations

import json
import logging
import random
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ray._private.ray_constants import get_runtime_env_default_excludes
from ray._private.runtime_env.packaging import create_package, get_uri_for_directory

from serve_runtime.package import pack
from serve_runtime.package_index import RACY_NS

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 5
FILES = 5_000
FILE_BYTES = 40_000
GOALS = {"cold": 1.0, "again": 0.2}  # our time over theirs, at most
IGNORE = "__pycache__/\n*.log\n/build/\n/dist/\n*.egg-info/\n"
TEXT = (
    "the model serve deployment replica self import return def class request batch"
    " tensor torch numpy async await config risk task based home"
)


def make_tree(root: Path) -> None:
    chance = random.Random(1)  # noqa: S311  the same tree each time
    root.mkdir()
    (root / ".gitignore").write_text(IGNORE)
    for number in range(FILES):
        folder = root / f"part{number % 50:02}" / f"sub{number // 50 % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        content = chance.randbytes(FILE_BYTES) if number % 2 else text(chance)
        (folder / f"file{number:04}.py").write_bytes(content)


def text(chance: random.Random) -> bytes:
    words = " ".join(chance.choices(TEXT.split(), k=FILE_BYTES // 4))
    return words.encode()[:FILE_BYTES]


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median(work: Callable[[], object]) -> float:
    """Of three times: `again` is so short that one interruption would be all of it."""
    return statistics.median(seconds(work) for _ in range(3))


def our_round(tree: Path, scratch: Path) -> dict[str, float]:
    def once() -> None:
        pack(tree, store=store, place="bench")

    store = scratch / "store"
    shutil.rmtree(store, ignore_errors=True)
    return {"cold": seconds(once), "again": median(once)}


def their_round(tree: Path, scratch: Path) -> dict[str, float]:
    excludes = get_runtime_env_default_excludes()

    def hashed() -> None:
        get_uri_for_directory(str(tree), include_gitignore=True, excludes=excludes)

    def zipped() -> None:
        create_package(str(tree), target, include_gitignore=True, excludes=excludes)

    target = scratch / "theirs.zip"
    target.unlink(missing_ok=True)
    return {"cold": seconds(hashed) + seconds(zipped), "again": median(hashed)}


def measure(scratch: Path) -> dict[str, list[dict[str, float]]]:
    tree = scratch / "tree"
    make_tree(tree)
    time.sleep(RACY_NS / 1e9 + 0.5)  # a file just written is read again, as in git
    sides = {"ours": our_round, "theirs": their_round}
    taken: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for number in range(ROUNDS):
        for side in sorted(sides, reverse=number % 2 == 1):
            taken[side].append(sides[side](tree, scratch))
    return taken


def row(what: str, taken: dict[str, list[dict[str, float]]]) -> dict[str, object]:
    ours, theirs = (
        statistics.median(times[what] for times in taken[side])
        for side in ("ours", "theirs")
    )
    return {
        "what": what,
        "ours_s": round(ours, 4),
        "theirs_s": round(theirs, 4),
        "ratio": round(ours / theirs, 3),
        "goal": GOALS[what],
    }


def main() -> None:
    logging.getLogger("ray._private.runtime_env.packaging").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="raylift-bench-") as scratch:
        taken = measure(Path(scratch))
    rows = [row(what, taken) for what in GOALS]
    print(f"{FILES} files, {FILES * FILE_BYTES / 1e6:.0f} MB, median of {ROUNDS}")
    print(f"{'':8}{'raylift s':>10}{'Ray s':>10}{'ratio':>8}{'goal':>8}")
    for r in rows:
        print(
            f"{r['what']:8}{r['ours_s']:>10}{r['theirs_s']:>10}"
            f"{r['ratio']:>8}{'<= ' + str(r['goal']):>8}"
        )
    print(json.dumps({"bench": "pack", "rows": rows}))


if __name__ == "__main__":
    main()
