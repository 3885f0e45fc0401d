"""What `logs` shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.text import Text

from cli.output.terminal import out

if TYPE_CHECKING:
    from serve_runtime.logs import LogLine


def show_log_line(line: LogLine, *, as_json: bool) -> None:
    """One log line, with the replica it came from."""
    if as_json:
        record = {
            "time": line.time,
            "level": line.level,
            "source": line.source,
            "text": line.text,
            "request_id": line.request_id,
            "fields": line.fields,
        }
        out.print(json.dumps(record), markup=False)
        return
    text = Text(f"{line.time} ")
    text.append(f"{line.source} ", style="cyan")
    text.append(line.text, style="red" if line.level == "ERROR" else "")
    out.print(text)
