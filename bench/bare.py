"""Plain Ray, started as its documentation describes, and calls to its REST API."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

from bench.rounds import BIN, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DASHBOARD = "http://127.0.0.1:28265"


def request(
    method: str, url: str, *, body: object = None, token: str = "", seconds: float = 90
) -> bytes | None:
    """Return the body of a 200 response, or None for any other outcome."""
    data = json.dumps(body).encode() if body is not None else None
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    http_request = urllib.request.Request(
        url, data=data, headers=headers, method=method
    )
    try:
        with urllib.request.urlopen(http_request, timeout=seconds) as response:
            return response.read()
    except (urllib.error.URLError, OSError):
        return None


def details(base: str, token: str = "") -> dict[str, Any]:
    """Return Ray's ServeInstanceDetails, or {} if there is no response."""
    body = request("GET", f"{base}/api/serve/applications/", token=token)
    return json.loads(body) if body else {}


def poll(check, *, seconds: float = 120) -> None:  # noqa: ANN001 any callable
    """Wait until `check` returns true, calling it every 20 ms."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "too slow"
        time.sleep(0.02)


@contextlib.contextmanager
def ray(folder: Path) -> Iterator[float]:
    """Run `ray start --head`; yield the seconds until its dashboard responds."""
    empty = folder / "empty"
    empty.mkdir(parents=True, exist_ok=True)
    command = [
        str(BIN / "ray"), "start", "--head", "--block", "--port=26379",
        "--dashboard-port=28265", "--dashboard-agent-listen-port=28266",
        "--ray-client-server-port=30001", "--disable-usage-stats",
        f"--temp-dir={folder / 'ray'}", "--object-store-memory=209715200",
    ]  # fmt: skip
    began = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=empty,
        env={**clean_environment(), "RAY_AUTH_MODE": "disabled"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    try:
        poll(lambda: request("GET", f"{DASHBOARD}/api/version", seconds=2))
        yield time.monotonic() - began
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
