"""Access to Kubernetes through kubectl, for tests in a rig."""

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
    """Return the folder with the state of the rig: logs, volumes and kubeconfig."""
    return Path(os.environ["RIG_RUN"])


def kubectl(*words: str, text: str | None = None) -> str:
    """Run kubectl and return its output; fail with its error message."""
    done = subprocess.run(
        ["kubectl", *words], check=False, capture_output=True, text=True, input=text
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(*words: str) -> list[dict]:
    """Return the objects of a kind, or the named objects, from `kubectl get`."""
    found = json.loads(kubectl("get", *words, "-o", "json"))
    return found["items"] if found["kind"] == "List" else [found]


def apply(manifest: dict, *, manager: str = "test") -> None:
    """Apply a manifest with server-side apply as this field manager."""
    words = ("--server-side", f"--field-manager={manager}", "-f", "-")
    kubectl("apply", *words, text=json.dumps(manifest))


def condition(found: dict, kind: str) -> str:
    """Return the status of a condition: True, False or Unknown; empty if missing."""
    conditions = found.get("status", {}).get("conditions") or []
    return next((c["status"] for c in conditions if c["type"] == kind), "")


@contextlib.contextmanager
def new_namespace() -> Iterator[str]:
    """Create a namespace with a unique name; finally delete it with all its objects."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    try:
        yield name
    finally:
        kubectl("delete", "namespace", name, "--timeout=90s")
