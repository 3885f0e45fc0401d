"""The versions that `raylift --version` prints."""

from __future__ import annotations

import sys
from pathlib import Path

from raylift import __version__


def versions() -> str:
    """Return raylift's version and, if Ray is installed, Ray's."""
    ray = _ray_version()
    return f"raylift {__version__}" + (f" (Ray {ray})" if ray else "")


def _ray_version() -> str:
    """Return the version in the name of Ray's metadata folder; "" without Ray.

    Importing `importlib.metadata` would take a fifth of the command's CPU time.
    """
    for folder in sys.path:
        for metadata in Path(folder).glob("ray-*.dist-info"):
            return metadata.name.removesuffix(".dist-info").removeprefix("ray-")
    return ""
