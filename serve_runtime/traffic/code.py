"""The splitter's own code as a directory, for nodes that have no raylift."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).resolve().parents[2]
_CODE = ("raylift/*.py", "serve_runtime/__init__.py", "serve_runtime/traffic/*.py")


@contextlib.contextmanager
def splitter_code() -> Iterator[Path]:
    """A directory from which Ray can import the splitter; it goes with the block.

    What else it imports (aiohttp, pydantic, yarl) comes with `ray[serve]`.
    """
    with tempfile.TemporaryDirectory(prefix="raylift-") as made:
        for module in (found for pattern in _CODE for found in _ROOT.glob(pattern)):
            copied = Path(made, module.relative_to(_ROOT))
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(module, copied)
        yield Path(made)
