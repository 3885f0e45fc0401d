"""One run of a container: its processes, probes and hooks."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .environment import expand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

OBJECT_STORE = 100_000_000  # bytes; all pods share the memory of one machine


class Container:
    """The processes of one container, in separate namespaces."""

    def __init__(
        self, spec: dict, address: str, values: dict[str, str], directory: Path
    ) -> None:
        self.spec, self.address, self.values = spec, address, values
        self.directory = directory

    def start(self, netns: str, mounts: Iterable[str]) -> None:
        """Run the shell commands `mounts`, then start the container's command."""
        words = self.spec.get("command", []) + self.spec.get("args", [])
        command = [self._fitted(expand(word, self.values)) for word in words]
        script = " && ".join([*mounts, f"exec {shlex.join(command)}"])
        own = "unshare --mount --pid --fork --mount-proc --kill-child"
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["ip", "netns", "exec", netns, *own.split(), "sh", "-c", script],
                env=self.values,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _fitted(self, word: str) -> str:
        """Return the word with the pod's address added to `ray start`.

        Without it, Ray would determine the address from a route.
        """
        options = f"--node-ip-address={self.address}"
        if "--object-store-memory" not in word:
            options += f" --object-store-memory={OBJECT_STORE}"
        return re.sub(r"\bray start\b", f"ray start {options}", word, count=1)

    def port(self, name_or_number: str | int) -> int:
        """Return a port's number; a probe can specify its name."""
        named = {
            port.get("name"): port["containerPort"]
            for port in self.spec.get("ports", [])
        }
        return named.get(name_or_number) or int(name_or_number)

    @property
    def first(self) -> int | None:
        """The PID of the container's first process, in the machine's PID namespace."""
        pid = self.process.pid
        try:
            text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
        except OSError:
            return None
        return int(text.split()[0]) if text.strip() else None

    def execute(self, command: list[str], timeout: float) -> int | None:
        """Run a command as the kubelet does; return its exit status, None if late."""
        return self._execute(command, _clock(timeout))

    def _execute(self, command: list[str], left: Callable[[], float]) -> int | None:
        if (first := self.first) is None:
            return None
        inside = f"nsenter --target {first} --net --mount --pid"
        process = subprocess.Popen(
            [*inside.split(), *command],
            env=self.values,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        while process.poll() is None and left() > 0:
            time.sleep(0.02)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return None
        return process.returncode

    def stop(self, left: Callable[[], float]) -> None:
        """Run the hook, then send SIGTERM and, when no time is left, SIGKILL."""
        self._before_stop(left)
        if (first := self.first) is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(first, signal.SIGTERM)
        while self.process.poll() is None and left() > 0:
            time.sleep(0.1)
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)  # unshare kills its children

    def _before_stop(self, left: Callable[[], float]) -> None:
        hook = self.spec.get("lifecycle", {}).get("preStop", {})
        if "exec" in hook:
            self._execute(hook["exec"]["command"], left)
        elif "sleep" in hook:
            until = _clock(hook["sleep"]["seconds"])
            while left() > 0 and until() > 0:
                time.sleep(0.1)


def _clock(seconds: float) -> Callable[[], float]:
    """Return a function that returns the remaining seconds."""
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()
