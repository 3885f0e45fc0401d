"""Code that a Serve config makes Ray's controller import.

The controller reads the settings of a deployment without the application's working_dir,
so a module in it does not exist there. It loads the `autoscaling_policy` of an
application in the environment of the application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.serve_runtime.serve_config.modules import find, is_installed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from raylift.key_path import KeyPath

_IMPORTED: dict[KeyPath, str] = {
    ("autoscaling_config", "policy", "policy_function"): (
        "name the policy in the code, or in autoscaling_policy of the application"
    ),
    ("request_router_config", "request_router_class"): "name the router in the code",
}


def missing_modules(
    application: dict[str, Any], directory: Path
) -> Iterator[tuple[KeyPath, str]]:
    """Yield the path and the problem of each import that only `directory` satisfies."""
    for index, deployment in enumerate(application.get("deployments") or []):
        for path, remedy in _IMPORTED.items():
            module = _module(deployment, path)
            if module and find(directory, module) and not is_installed(module):
                text = (
                    f"Ray's controller cannot import {module}, which is in working_dir;"
                    f" {remedy}"
                )
                yield ("deployments", index, *path), text


def _module(value: object, path: KeyPath) -> str:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    name = value if isinstance(value, str) else ""
    separator = ":" if ":" in name else "."
    return name.rpartition(separator)[0]
