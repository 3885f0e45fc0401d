"""The state backend of a stack: its URL and its secrets provider.

Backend and encryption must be configured explicitly.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from raylift.errors import InvalidInput
from raylift.yaml_document import read

_PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105 the variable's name
_CHOICES = "run `pulumi login s3://BUCKET` or `pulumi login --local`"


def environment(root: Path, stack_file: Path) -> dict[str, str]:
    """Return the environment variables to add for the Pulumi CLI.

    Raises:
        InvalidInput: No backend is configured, or secrets would not be encrypted.
    """
    backend = backend_of(root)
    if not backend:
        raise InvalidInput.at(
            "", "no Pulumi state backend is configured", hint=_CHOICES
        )
    if not backend.startswith("https://") and secrets_provider(stack_file) is None:
        _refuse_empty_passphrase()
    if backend.startswith("file://"):
        _remove_empty_attributes(backend)
    # Generated kubeconfigs call `raylift`, which may not be on the user's PATH.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return {"PULUMI_SKIP_UPDATE_CHECK": "true", "PATH": path}


def backend_of(root: Path) -> str:
    """Return the URL of the backend that Pulumi would use, or "" if none is configured.

    It comes from the environment, the project, or the last `pulumi login`, in this
    order.
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


def _remove_empty_attributes(backend: str) -> None:
    """Remove empty `.attrs` files, which an interrupted Pulumi leaves near its state.

    The state itself is complete, because it is written to another file and renamed.
    Reading it fails if there is an empty `.attrs` file ("failed to load checkpoint:
    EOF"), but not without one. Source: gocloud.dev/blob/fileblob.
    """
    folder = Path(backend.removeprefix("file://").partition("?")[0]).expanduser()
    for attributes in (folder / ".pulumi").glob("stacks/**/*.json.attrs"):
        if not attributes.stat().st_size:
            attributes.unlink()


def secrets_provider(stack_file: Path) -> str | None:
    """Return `secretsprovider` from the stack file, or None for a passphrase."""
    if not stack_file.exists():
        return None
    document = read(stack_file, name=stack_file.name).value
    value = document.get("secretsprovider") if isinstance(document, dict) else None
    return None if value in (None, "passphrase") else str(value)


def _refuse_empty_passphrase() -> None:
    if os.environ.get(f"{_PASSPHRASE}_FILE"):
        return
    if not os.environ.get(_PASSPHRASE):
        problem = "is empty" if _PASSPHRASE in os.environ else "is not set"
        raise InvalidInput.at(
            "",
            f"{_PASSPHRASE} {problem}: secrets would be readable in the state",
            hint="export a passphrase, or set secretsprovider in the stack file"
            " (such as awskms://alias/raylift?region=us-west-2)",
        )
