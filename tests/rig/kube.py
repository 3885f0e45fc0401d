"""What the rig's tests ask Kubernetes: by kubectl, as a person would."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def run_folder() -> Path:
    """The state of the rig that the tests run in: logs, volumes, kubeconfig."""
    return Path(os.environ["RIG_RUN"])


def kubectl(*words: str, text: str | None = None) -> str:
    """What it prints; its own message where it fails."""
    done = subprocess.run(
        ["kubectl", *words], check=False, capture_output=True, text=True, input=text
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(*words: str) -> list[dict]:
    """`kubectl get` of a kind, or of all that is named."""
    found = json.loads(kubectl("get", *words, "-o", "json"))
    return found["items"] if found["kind"] == "List" else [found]


def apply(manifest: dict, *, manager: str = "test") -> None:
    """A server-side apply by this field manager."""
    words = ("--server-side", f"--field-manager={manager}", "-f", "-")
    kubectl("apply", *words, text=json.dumps(manifest))


def condition(found: dict, kind: str) -> str:
    """The status of a condition: True, False, Unknown or nothing."""
    conditions = found.get("status", {}).get("conditions") or []
    return next((c["status"] for c in conditions if c["type"] == kind), "")


@contextlib.contextmanager
def new_namespace() -> Iterator[str]:
    """A namespace with a name of its own, which goes with all that is left in it."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--timeout=90s")
