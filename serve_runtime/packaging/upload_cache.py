"""Packages that are built on this machine before they are uploaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from raylift.errors import PermissionDenied
from raylift.serve_runtime.packaging.package import pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from raylift.serve_runtime.packaging.package import Package


def packed(directory: Path, *, location: str, excludes: Sequence[str]) -> Package:
    """Package a directory in the user's cache.

    `location` names the source of the directory in messages; `excludes` are the
    patterns of `runtime_env.excludes`.

    Raises:
        InvalidInput: The directory cannot be packaged.
        PermissionDenied: The cache cannot be written.
    """
    return pack(directory, store=_cache(), location=location, excludes=excludes)


def _cache() -> Path:
    """Return the directory in which packages are built and cached.

    Raises:
        PermissionDenied: The directory cannot be created.
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(base).expanduser() / "raylift"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise PermissionDenied(
            f"{folder}: cannot be written: {reason}",
            hint="set XDG_CACHE_HOME to a writable directory",
        ) from None
    return folder / "packages"
