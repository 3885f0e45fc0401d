"""Generation of docs/demo.svg from the output of docs/demo.sh, run on this machine."""

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
FOLDER = Path(__file__).parent


def run() -> str:
    """Run the demo on a pseudo-terminal and return its standard output."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, COLUMNS, 0, 0))
    demo = ["sh", str(FOLDER / "demo.sh")]
    process = subprocess.Popen(demo, stdout=slave, stderr=subprocess.DEVNULL)
    os.close(slave)
    output = b""
    try:
        while chunk := os.read(master, 65536):
            output += chunk
    except OSError:  # Linux raises EIO when the other end is closed
        pass
    if process.wait() != 0:
        raise SystemExit("the demo failed; run it manually with `make demo`")
    return output.decode().replace("\r\n", "\n")


def draw(output: str) -> str:
    """Return terminal output as an SVG without web fonts."""
    with Path(os.devnull).open("w", encoding="utf-8") as sink:
        console = Console(record=True, width=COLUMNS, file=sink)
        console.print(Text.from_ansi(output.strip()))
    svg = console.export_svg(title="raylift on one machine", unique_id="demo")
    return re.sub(r"@font-face \{.*?\}\n", "", svg, flags=re.DOTALL)


(FOLDER / "demo.svg").write_text(draw(run()), encoding="utf-8")
