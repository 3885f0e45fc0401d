"""`raylift import`: print the Serve config of a RayService manifest."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from raylift.serve_runtime.serve_config.ray_service import serve_config_of
from raylift.yaml_document import read_text

if TYPE_CHECKING:
    from pathlib import Path


def run(file: Path) -> None:
    """Print the Serve config in a manifest."""
    name = str(file)
    sys.stdout.write(serve_config_of(read_text(file, name=name), name=name))
