"""Draw docs/demo.svg from what `docs/demo.sh` prints, run for real on this machine."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 92
HERE = Path(__file__).parent


def run() -> str:
    """The demo's standard output, as a terminal of that width gets it."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, COLUMNS, 0, 0))
    demo = ["sh", str(HERE / "demo.sh")]
    process = subprocess.Popen(demo, stdout=slave, stderr=subprocess.DEVNULL)
    os.close(slave)
    output = b""
    try:
        while chunk := os.read(master, 65536):
            output += chunk
    except OSError:  # the other end was closed: Linux says EIO
        pass
    if process.wait() != 0:
        raise SystemExit("the demo failed; run it by hand: make demo")
    return output.decode().replace("\r\n", "\n")


def draw(output: str) -> str:
    """An SVG without fonts from elsewhere."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere)
        console.print(Text.from_ansi(output.strip()))
    svg = console.export_svg(title="raylift on one machine", unique_id="demo")
    return re.sub(r"@font-face \{.*?\}\n", "", svg, flags=re.DOTALL)


(HERE / "demo.svg").write_text(draw(run()), encoding="utf-8")
