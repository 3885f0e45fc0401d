"""The traffic splitter's import path: `raylift.splitter:app` in a Serve config."""

from raylift.serve_runtime.splitter.app import app

__all__ = ["app"]
