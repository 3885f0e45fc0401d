"""What a command does if stdout cannot take its output."""

import subprocess
import sys
from pathlib import Path

import pytest

RAYLIFT = Path(sys.executable).with_name("raylift")


def _run(stdout, *arguments):
    # Only a shell can close a stream.
    shell = ["sh", "-c", f'"$0" "$@" {stdout}', RAYLIFT, *arguments]
    return subprocess.run(shell, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [["schema"], ["--version"], ["deploy", "--help"]])
def test_a_full_disk_is_reported_in_one_line(arguments):
    result = _run("> /dev/full", *arguments)
    line = "error: cannot write the output of this command: no space left on device\n"
    assert (result.returncode, result.stderr) == (1, line)


@pytest.mark.parametrize("stdout", [">&-", ">&- 2>&-", "| true"])
def test_a_closed_stream_is_no_error(stdout):
    result = _run(stdout, "schema")
    assert (result.returncode, result.stderr) == (0, "")
