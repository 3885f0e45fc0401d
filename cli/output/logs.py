"""The output of `logs`."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from rich.text import Text

from raylift.cli.output.terminal import out

if TYPE_CHECKING:
    from raylift.serve_runtime.status.logs import LogLine


def show_log_line(line: LogLine, *, as_json: bool) -> None:
    """Print a log line and the replica that wrote it."""
    if as_json:
        out.print(json.dumps(dataclasses.asdict(line)), markup=False)
        return
    text = Text(f"{line.time} ")
    text.append(f"{line.source} ", style="cyan")
    text.append(line.text, style="red" if line.level == "ERROR" else "")
    out.print(text)
