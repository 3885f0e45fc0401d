"""Selection of the kubeconfig entry that a stack uses."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from raylift.errors import InvalidInput
from raylift.messages import did_you_mean, exception_text, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lightkube import KubeConfig
    from lightkube.config.kubeconfig import SingleConfig

_PLUGIN_API = "client.authentication.k8s.io/v1beta1"
_RAYLIFT = "raylift"


def access(kubeconfig: str | None, context: str | None) -> SingleConfig:
    """Return the entry for a context; None means kubectl's default.

    Raises:
        InvalidInput: The kubeconfig or the context is missing or invalid.
    """
    with invalid_kubeconfig():
        config = _load(kubeconfig)
    name = context or config.current_context
    if name not in config.contexts:
        known = sorted(config.contexts)
        text = f"'{name}' is not in the kubeconfig" if name else "no current context"
        raise InvalidInput.at(
            "raylift:kubernetes.context",
            f"{text}{did_you_mean(name or '', known)}",
            hint=f"use one of these contexts: {', '.join(known)}"
            if known
            else "add a context to the kubeconfig",
        )
    with invalid_kubeconfig():
        return _with_token_plugin(config.get(name))


def access_by(text: str) -> SingleConfig:
    """Return the current entry of a kubeconfig in JSON."""
    from lightkube import KubeConfig

    return _with_token_plugin(KubeConfig.from_dict(json.loads(text)).get())


@contextlib.contextmanager
def invalid_kubeconfig() -> Iterator[None]:
    """Raise InvalidInput for any error of lightkube in the block."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 lightkube propagates many types of errors
        text = printable(f"cannot be used: {exception_text(error)}", limit=200)
        raise InvalidInput.at("raylift:kubernetes.kubeconfig", text) from None


def _load(path: str | None) -> KubeConfig:
    from lightkube import KubeConfig

    if path:
        return KubeConfig.from_file(Path(path).expanduser())
    return KubeConfig.from_env()


def _with_token_plugin(entry: Any) -> SingleConfig:  # noqa: ANN401 lightkube may return None
    """Adapt the entry's token plugin, if it has one, to lightkube.

    lightkube rejects plugins of API version `v1`, although it treats all versions
    alike. `raylift` itself may not be on the user's PATH.
    """
    plugin = entry.user.exec if entry.user else None
    if plugin:
        plugin.apiVersion = _PLUGIN_API
        if plugin.command == _RAYLIFT:
            plugin.command = str(Path(sys.executable).parent / _RAYLIFT)
    return cast("SingleConfig", entry)
