"""A stdout whose errors differ from those of files, and that is never missing."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

from raylift.messages import os_reason


class OutputLost(Exception):
    """The output cannot be written; the text is the reason."""


class _Stdout(io.FileIO):
    def write(self, data: Any, /) -> int:  # noqa: ANN401 any buffer
        try:
            return super().write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputLost(os_reason(error)) from None


def install() -> None:
    """Replace stdout; what a closed stream (`>&-`) would receive is discarded."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            setattr(sys, name, os.fdopen(nowhere, "w", encoding="utf-8"))
    before = sys.stdout
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Stdout(os.dup(before.fileno()), "w")),
        encoding=before.encoding,
        errors=before.errors,
        line_buffering=before.isatty(),
    )


def discard() -> None:
    """Discard what is still buffered, which Python would write again when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
