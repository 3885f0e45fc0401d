"""What a command does if stdout cannot take its output."""

import subprocess
import sys
from pathlib import Path

import pytest

RAYLIFT = Path(sys.executable).with_name("raylift")
SERVICE = """
apiVersion: ray.io/v1
kind: RayService
spec: {serveConfigV2: "applications: []"}
"""


def _run(stdout, *arguments, **options):
    # Only a shell can close a stream.
    shell = ["sh", "-c", f'"$0" "$@" {stdout}', RAYLIFT, *arguments]
    return subprocess.run(shell, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize(
    "arguments",
    [["schema"], ["--version"], ["deploy", "--help"], ["import", "service.yaml"]],
)
def test_a_full_disk_is_reported_in_one_line(arguments, tmp_path):
    (tmp_path / "service.yaml").write_text(SERVICE)
    result = _run("> /dev/full", *arguments, cwd=tmp_path)
    line = "error: cannot write to stdout: no space left on device\n"
    assert (result.returncode, result.stderr) == (1, line)


def test_a_closed_stream_is_no_error():
    result = _run(">&-", "schema")
    assert (result.returncode, result.stderr) == (0, "")
    assert _run(">&- 2>&-", "schema").returncode == 0


def test_a_reader_that_ends_early_is_no_error():
    command = [RAYLIFT, "schema"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 0
