"""Where Pulumi keeps a stack's state and how its secrets are encrypted: both chosen."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from raylift.document import read
from raylift.errors import InputFailed

_LOCKED = re.compile(r"created by (\S+?)@(\S+) \(pid (\d+)\) at (\S+)")
_PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 the variable's name
_CHOICES = "pulumi login s3://BUCKET, or pulumi login --local"


def environment(root: Path, stack_file: Path) -> dict[str, str]:
    """What Pulumi's command line is given beside the environment that is there.

    Raises:
        InputFailed: no backend is chosen, or secrets would be stored readable.
    """
    backend = backend_of(root)
    if not backend:
        raise InputFailed.at(
            "", "no place is chosen for the state of this stack", hint=_CHOICES
        )
    if not backend.startswith("https://") and secrets_provider(stack_file) is None:
        _refuse_empty_passphrase()
    if backend.startswith("file://"):
        _mend(backend)
    # A kubeconfig of ours names `raylift`, which need not be on the user's PATH.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return {"PULUMI_SKIP_UPDATE_CHECK": "true", "PATH": path}


def backend_of(root: Path) -> str:
    """The backend that Pulumi itself would take; empty where none is chosen.

    From the environment, the project, or the last `pulumi login`, in this order.
    """
    if url := os.environ.get("PULUMI_BACKEND_URL"):
        return url
    project = read(root / "Pulumi.yaml", name="Pulumi.yaml").value
    backend = project.get("backend") if isinstance(project, dict) else None
    if isinstance(backend, dict) and backend.get("url"):
        return str(backend["url"])
    home = Path(os.environ.get("PULUMI_HOME", "~/.pulumi")).expanduser()
    try:
        credentials: Any = json.loads((home / "credentials.json").read_text())
    except (OSError, ValueError):
        return ""
    return str(credentials.get("current") or "")


def _mend(backend: str) -> None:
    """Remove the empty note that a killed Pulumi leaves beside a state in a file.

    The state is whole, as it is written aside and renamed, but with an empty note it is
    not read ("failed to load checkpoint: EOF"); without one it is (gocloud's fileblob).
    """
    folder = Path(backend.removeprefix("file://").partition("?")[0]).expanduser()
    for note in (folder / ".pulumi").glob("stacks/**/*.json.attrs"):
        if not note.stat().st_size:
            note.unlink()


def secrets_provider(stack_file: Path) -> str | None:
    """`secretsprovider` of the stack file; None for a passphrase."""
    if not stack_file.exists():
        return None
    document = read(stack_file, name=stack_file.name).value
    value = document.get("secretsprovider") if isinstance(document, dict) else None
    return None if value in (None, "passphrase") else str(value)


def _refuse_empty_passphrase() -> None:
    if os.environ.get(f"{_PASSPHRASE}_FILE"):
        return
    if not os.environ.get(_PASSPHRASE):
        how = "is empty" if _PASSPHRASE in os.environ else "is not set"
        raise InputFailed.at(
            "",
            f"{_PASSPHRASE} {how}: secrets would be stored readable",
            hint="export one, or set secretsprovider: in the stack file"
            " (such as awskms://alias/raylift?region=us-west-2)",
        )


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds the lock of a stack, and since when."""

    user: str
    host: str
    pid: int
    since: str

    def __str__(self) -> str:
        return (
            f"{self.user}@{self.host} (pid {self.pid}) since {self.since}{self._age()}"
        )

    def is_dead(self) -> bool:
        """Whether it was a process of this machine that is gone.

        One that nobody has waited for is: the first process of a container may never.
        """
        if self.host != socket.gethostname():
            return False
        try:
            return psutil.Process(self.pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    def _age(self) -> str:
        try:
            began = datetime.fromisoformat(self.since)
        except ValueError:
            return ""
        return f", {(datetime.now(UTC) - began).total_seconds() / 60:.0f} min ago"


def holder_of(text: str) -> Holder | None:
    """The holder that Pulumi names where it refuses a locked stack.

    Source: pkg/backend/diy/lock.go.
    """
    match = _LOCKED.search(text)
    return Holder(match[1], match[2], int(match[3]), match[4]) if match else None
