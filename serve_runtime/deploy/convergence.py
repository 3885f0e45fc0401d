"""Waiting for documents to run, if necessary without some of raylift's defaults."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raylift.errors import RayliftError
from raylift.serve_runtime.deploy.watch import DefaultFailed, DeployFailed, watch
from raylift.serve_runtime.deploy.withdrawal import without

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from raylift.serve_runtime.cluster.protocol import Cluster
    from raylift.serve_runtime.deploy.defaults import Added
    from raylift.serve_runtime.deploy.watch import Observation
    from raylift.serve_runtime.release import Documents


@dataclass(frozen=True, slots=True)
class Convergence:
    """A cluster, a timeout in seconds, and callbacks for progress.

    `on_change` receives each change while waiting, and `say` receives lines for the
    user.
    """

    cluster: Cluster
    timeout_s: float
    on_change: Callable[[Observation], None]
    say: Callable[[str], None]

    def reach(
        self, documents: Documents, added: Sequence[Added] = ()
    ) -> tuple[dict[str, Any], list[Added]]:
        """Wait until Ray runs documents that were written.

        `added` are the defaults in them. One that keeps an application from running is
        reported and withdrawn. Return the documents that run, and the remaining
        defaults.

        Raises:
            DeployFailed: The documents cannot run, or a withdrawal was not accepted.
            Unreachable: The dashboard did not respond for some seconds.
        """
        started, left_s = time.monotonic(), self.timeout_s
        remaining, current = list(added), dict(documents)
        while True:
            try:
                watch(
                    self.cluster,
                    current,
                    timeout_s=left_s,
                    on_change=self.on_change,
                    added=remaining,
                )
            except DefaultFailed as failed:
                self.say(_withdrawn(failed))
                remaining = [each for each in remaining if each not in failed.settings]
                current = _without(current, failed.settings)
                self._rewrite(current)
                left_s = max(1, round(started + self.timeout_s - time.monotonic()))
            else:
                return current, remaining

    def _rewrite(self, documents: Documents) -> None:
        try:
            self.cluster.rewrite(documents)
        except RayliftError as error:
            raise DeployFailed(str(error)) from None


def _without(documents: Documents, withdrawn: Sequence[Added]) -> dict[str, Any]:
    """Return the documents without these defaults."""
    return {
        name: document
        and without(document, [a for a in withdrawn if a.application == name])
        for name, document in documents.items()
    }


def _withdrawn(failed: DefaultFailed) -> str:
    names = ", ".join(sorted({each.application for each in failed.settings}))
    settings = ", ".join(sorted({each.setting for each in failed.settings}))
    return f"{names}: continuing without the default {settings}: {failed}"
