"""Packing a directory: raylift against Ray's own packager.

The tree has 5,000 files and 200 MB; every second file is incompressible. `cold` is the
first run, `again` a run without changes. Ray's side is what `ray job submit
--working-dir` does before it uploads: it hashes the directory, and zips it if the
cluster does not have that hash. `again` therefore only measures the hash. raylift also
scans all text for secrets and syncs the zip to disk. Both run alternately in one
process; the files are in the page cache.
"""

from __future__ import annotations

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

from bench.rounds import Row, at_most, in_turn
from raylift.serve_runtime.packaging.package import pack
from raylift.serve_runtime.packaging.stat_cache import RACY_NS

if TYPE_CHECKING:
    from collections.abc import Callable

_FILES = 5_000
_FILE_BYTES = 40_000
_IGNORE = "__pycache__/\n*.log\n/build/\n/dist/\n*.egg-info/\n"
_WORDS = """
the model serve deployment replica self import return def class request batch tensor
torch numpy async await config risk task based home
"""


def rows() -> list[Row]:
    """Measure the first package of a tree, and the next one without changes."""
    logging.getLogger("ray._private.runtime_env.packaging").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        _make_tree(scratch / "tree")
        time.sleep(RACY_NS / 1e9 + 0.5)  # a file just written is read again, as in git
        return _measure(scratch / "tree", scratch / "store", scratch / "theirs.zip")


def _measure(tree: Path, store: Path, target: Path) -> list[Row]:
    excludes = get_runtime_env_default_excludes()

    def packed() -> None:
        pack(tree, store=store, location="bench")

    def hashed() -> None:
        get_uri_for_directory(str(tree), include_gitignore=True, excludes=excludes)

    def ours_cold(_: int) -> float:
        shutil.rmtree(store, ignore_errors=True)
        return _seconds(packed)

    def theirs_cold(_: int) -> float:
        target.unlink(missing_ok=True)
        began = time.perf_counter()
        hashed()
        create_package(str(tree), target, include_gitignore=True, excludes=excludes)
        return time.perf_counter() - began

    what = f"packing {_FILES:,} files, {_FILES * _FILE_BYTES // 1_000_000} MB"
    cold = in_turn(ours_cold, theirs_cold)
    again = in_turn(lambda _: _median(packed), lambda _: _median(hashed))
    return [
        at_most(what, "Ray's own packager", cold, 1.0),
        at_most("the same again, nothing changed", "Ray's own packager", again, 0.2),
    ]


def _make_tree(root: Path) -> None:
    chance = random.Random(1)  # noqa: S311 the same tree each time
    root.mkdir()
    (root / ".gitignore").write_text(_IGNORE)
    for number in range(_FILES):
        folder = root / f"part{number % 50:02}" / f"sub{number // 50 % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        text = " ".join(chance.choices(_WORDS.split(), k=_FILE_BYTES // 4)).encode()
        content = chance.randbytes(_FILE_BYTES) if number % 2 else text[:_FILE_BYTES]
        (folder / f"file{number:04}.py").write_bytes(content)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _median(work: Callable[[], object]) -> float:
    """Return the median of three runs: one interruption would distort a short run."""
    return statistics.median(_seconds(work) for _ in range(3))
