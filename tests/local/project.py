"""A project in a temporary folder, and raylift as a subprocess, as users run it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

RAYLIFT = str(Path(sys.executable).with_name("raylift"))
# Upper limits for a busy machine; a wait ends as soon as its condition is met.
COMMAND_SECONDS = 600
WAIT_SECONDS = 240
ANSWER_SECONDS = 120
# The duration of `raylift status` on an idle machine.
IDLE_STATUS_SECONDS = 0.5


def default_signals() -> None:
    """Restore the default action of SIGINT in a child process, as its `preexec_fn`.

    A background job of a shell inherits that SIGINT is ignored.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


HELLO = """
import os
from ray import serve

@serve.deployment
class Hello:
    def __call__(self, request):
        return f"{VERSION} {os.getpid()}"

app = Hello.bind()
"""


@dataclass
class Project:
    """A raylift project, whose `run` returns the finished command."""

    root: Path
    stack: str = "local"
    environment: dict[str, str] = field(default_factory=dict)

    def run(
        self, *arguments: str, timeout: float = COMMAND_SECONDS, code: int | None = 0
    ):
        result = subprocess.run(
            [RAYLIFT, *arguments],
            cwd=self.root,
            env={**os.environ, "RAYLIFT_STACK": self.stack, **self.environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
            preexec_fn=default_signals,
        )
        told = f"{arguments}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        assert code is None or result.returncode == code, told
        assert "Traceback (most recent call last)" not in result.stderr, told
        return result

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [RAYLIFT, *arguments],
            cwd=self.root,
            env={**os.environ, "RAYLIFT_STACK": self.stack, **self.environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=default_signals,
        )

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    def write_app(self, folder: str, *, version: str = "v1", code: str = HELLO) -> None:
        self.write(f"{folder}/hello.py", f"VERSION = {version!r}\n{code}")

    def write_serve(self, file: str, *applications: dict) -> None:
        defaults = {"import_path": "hello:app"}
        items = [{**defaults, **application} for application in applications]
        self.write(file, json.dumps({"applications": items}))

    @property
    def state_dir(self) -> Path:
        return self.root / ".raylift" / self.stack

    @property
    def ports(self) -> dict[str, int]:
        return json.loads((self.state_dir / "state.json").read_text())["ports"]

    def get(self, path: str, *, timeout: float = ANSWER_SECONDS) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.ports['serve']}{path}"
        try:
            with urllib.request.urlopen(url, timeout=timeout) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)

    def put(self, *applications: dict) -> int:
        """Replace all applications, as another tool does; return Ray's status code."""
        token = next(self.state_dir.rglob("token")).read_text()
        options = {"host": "127.0.0.1", "port": self.ports["serve"]}
        document = {"http_options": options, "applications": applications}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.ports['base'] + 1}/api/serve/applications/",
            method="PUT",
            data=json.dumps(document).encode(),
            headers={
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=COMMAND_SECONDS) as response:
                return response.status
        except urllib.error.HTTPError as error:
            return error.code

    def status(self) -> dict:
        return json.loads(self.run("status", "--json", code=None).stdout)

    def slowness(self) -> float:
        """Return how many times slower this machine is than an idle one, at least 1."""
        began = time.monotonic()
        self.run("status", code=None)
        return max(1.0, (time.monotonic() - began) / IDLE_STATUS_SECONDS)

    def names(self) -> list[str]:
        return [a["name"] for a in self.status()["applications"]]

    def application(self, name: str) -> dict:
        return {a["name"]: a for a in self.status()["applications"]}[name]

    def replica_pids(self, name: str) -> set[int]:
        return {
            replica["pid"]
            for deployment in self.application(name)["deployments"]
            for replica in deployment["replicas"]
            if replica["state"] == "RUNNING"
        }

    def processes(self) -> list[psutil.Process]:
        return processes_of(self.state_dir)

    def described(self) -> list[dict[str, Any]]:
        """Return pid, name, cmdline and environ of each process that still exists."""
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error, OSError):
                found.append(process.as_dict(["pid", "name", "cmdline", "environ"]))
        return found

    def listening(self):
        """Yield the process and connection of every listening socket of the stack."""
        for process in self.processes():
            try:
                connections = process.net_connections("tcp")
            except psutil.Error:
                continue
            for connection in connections:
                if connection.status == "LISTEN":
                    yield process, connection

    def open_to_the_network(self) -> list[tuple[str, str, int]]:
        """Return the sockets that listen on an address other than loopback."""
        loopback = ("127.0.0.1", "::ffff:127.0.0.1", "::1")
        return [
            (process.name(), *connection.laddr)
            for process, connection in self.listening()
            if connection.laddr[0] not in loopback
        ]


def processes_of(state_dir: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAYLIFT_STACK_DIR") == str(state_dir):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@contextlib.contextmanager
def lines_until_interrupt(process: subprocess.Popen) -> Iterator[list[str]]:
    """Yield what a process has written to stdout so far; send it SIGINT at the end."""
    lines: list[str] = []

    def read() -> None:
        for line in process.stdout:
            lines.append(line)  # noqa: PERF402 each line is visible at once

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield lines
    finally:
        process.send_signal(signal.SIGINT)
        reader.join(WAIT_SECONDS)
        process.communicate(timeout=WAIT_SECONDS)


def wait_until(check, *, seconds: float = WAIT_SECONDS, every: float = 0.1):
    deadline = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {seconds} s: {check}"
        time.sleep(every)


def make_project(root: Path, *, stack: str = "local", config: str = "") -> Project:
    (root / "stacks").mkdir(parents=True)
    (root / "Pulumi.yaml").write_text(
        "name: t\nruntime: python\nstackConfigDir: stacks\n"
    )
    body = config or "raylift:target: local"
    text = f"config:\n{textwrap.indent(textwrap.dedent(body), '  ')}\n"
    (root / "stacks" / f"Pulumi.{stack}.yaml").write_text(text)
    return Project(root.resolve(), stack)


@contextlib.contextmanager
def running(project: Project) -> Iterator[Project]:
    """Yield the running stack; then delete it and check that no process remains."""
    project.run("up")
    try:
        yield project
    finally:
        project.run("delete", "--yes")
    assert project.processes() == []
