"""Settings of the proxy that Ray runs on every node in front of the replicas.

The proxy is HAProxy, or Ray's own proxy in Python. Ray's template for HAProxy binds the
ports for statistics and metrics to every interface, without authentication
(ray/serve/_private/haproxy_templates.py). raylift therefore makes Ray start a wrapper,
which rebinds both to sockets that only their owner can open, and executes HAProxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Ingress = Literal["haproxy", "python"]
# Time for which a stream may continue after HAProxy reloads (ray#66056; Ray's default:
# 120 s).
_STREAM_SECONDS = 900
# A dead proxy is detected after 3.5 s instead of 25 s (measured with Ray 2.60).
_TUNED = {
    "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "2",
}
_TUNED_HAPROXY = {
    # A request's line and headers, and those of a response, must fit into a buffer.
    # Ray's Python proxy accepts 60 KB; HAProxy's default is 16 KiB.
    "RAY_SERVE_HAPROXY_TUNE_BUFSIZE": "65536",
}
# HAProxy rejects requests with more headers; its default is 101.
_MAX_HEADERS = 500
_WRAPPER = """#!/bin/sh
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
{run}"""


def tuned(ingress: Ingress) -> dict[str, str]:
    """Return environment variables of Ray that users may override."""
    return {**_TUNED, **(_TUNED_HAPROXY if ingress == "haproxy" else {})}


def haproxy(binary: Path | str) -> dict[str, str]:
    """Return environment variables that make Ray start HAProxy by its wrapper."""
    return {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(binary),
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(_STREAM_SECONDS),
        # Time that a stopping replica waits for load balancers to stop using it.
        # HAProxy is updated within 0.2 s. Ray's default (30) delays each delete by 30
        # s.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "2",
    }


def wrapper(*, folder: Path | str, run: str, metrics: int, stats: int) -> str:
    """Return the wrapper, a shell script.

    Args:
        folder: The directory of the two sockets.
        run: Lines of the shell that execute HAProxy with the arguments `"$@"`.
        metrics: The port of the metrics in Ray's template.
        stats: The port of the statistics in Ray's template.
    """
    return _WRAPPER.format(
        metrics=metrics,
        stats=stats,
        folder=folder,
        headers=_MAX_HEADERS,
        run=run,
    )
