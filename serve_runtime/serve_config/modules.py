"""The Python modules in an application's directory, read without running them."""

from __future__ import annotations

import ast
import importlib.util
import os
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def find(directory: Path, module: str) -> Path | None:
    """Return the source file of a module below a directory, None if there is none."""
    base = directory.joinpath(*module.split("."))
    for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
        if os.path.isfile(path):  # noqa: PTH113 returns False for a name that is too long
            return path
    return None


def parse(path: Path) -> ast.Module:
    """Parse a source file.

    Raises:
        SyntaxError, OSError, ValueError, RecursionError, MemoryError: It cannot be
            read or parsed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # in the code of the user; Ray logs them
        return ast.parse(path.read_bytes(), filename=str(path))


def is_installed(name: str) -> bool:
    """Return whether a top-level module is installed in this environment."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
