"""The Pulumi program, which the `__main__.py` of a project imports and calls."""

from raylift.infra.program import main

__all__ = ["main"]
