"""A directory with the code of the splitter, for nodes without raylift."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(str(resources.files("raylift"))).parent
_CODE = (
    "raylift/*.py",
    "raylift/serve_runtime/__init__.py",
    "raylift/serve_runtime/splitter/*.py",
)


@contextlib.contextmanager
def splitter_code() -> Iterator[Path]:
    """Yield a temporary directory from which Ray can import the splitter.

    The splitter's dependencies (aiohttp, pydantic, yarl) come with `ray[serve]`.
    """
    with tempfile.TemporaryDirectory(prefix="raylift-") as directory:
        for module in (path for pattern in _CODE for path in _ROOT.glob(pattern)):
            copy = Path(directory, module.relative_to(_ROOT))
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(module, copy)
        yield Path(directory)
