"""A project in a temporary folder and raylift as its user runs it: a subprocess."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psutil

RAYLIFT = str(Path(sys.executable).with_name("raylift"))

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
    """A raylift project; `run` returns the finished command."""

    root: Path
    stack: str = "local"
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, timeout: float = 120, code: int | None = 0):
        result = subprocess.run(
            [RAYLIFT, *arguments],
            cwd=self.root,
            env={**os.environ, "RAYLIFT_STACK": self.stack, **self.environment},
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
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

    def get(self, path: str, *, timeout: float = 10) -> tuple[int, str]:
        url = f"http://127.0.0.1:{self.ports['serve']}{path}"
        try:
            with urllib.request.urlopen(url, timeout=timeout) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)

    def status(self) -> dict:
        return json.loads(self.run("status", "--json", code=None).stdout)

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


class Load:
    """Requests at a steady rate while a `with` lasts; every answer is kept.

    `answers` are (status, text), 0 for no answer; `lost` are those that are no 200.
    """

    def __init__(self, project: Project, path: str, *, rate: float = 40) -> None:
        self.answers: list[tuple[int, str]] = []
        self._project, self._path, self._rate = project, path, rate
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(max_workers=32)
        self._clock = threading.Thread(target=self._tick)

    def __enter__(self) -> Self:
        self._clock.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._clock.join()
        self._pool.shutdown()

    @property
    def lost(self) -> list[tuple[int, str]]:
        return [answer for answer in list(self.answers) if answer[0] != 200]

    def count(self, text: str) -> int:
        return sum(text == answer[1] for answer in list(self.answers))

    def _tick(self) -> None:
        while not self._over.wait(1 / self._rate):
            self._pool.submit(self._ask)

    def _ask(self) -> None:
        self.answers.append(self._project.get(self._path, timeout=30))


def processes_of(state_dir: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAYLIFT_STACK_DIR") == str(state_dir):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def wait_until(check, *, seconds: float = 20, every: float = 0.1):
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
