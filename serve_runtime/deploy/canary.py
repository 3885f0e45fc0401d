"""The gradual rollout of a new version beside the old one.

The new version runs as a separate application while the splitter shifts traffic to it
in steps, with a verdict after each. When it receives all traffic without a bad verdict,
the old application is updated without traffic. Then it receives all traffic, and the
separate application is deleted. A single release covers all three applications and
records the writes that roll them back.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn

from raylift.errors import RayliftError, RolledBack
from raylift.serve_runtime.deploy.canary_verdict import analyze
from raylift.serve_runtime.deploy.deploy import FIX_AND_RETRY, fail_rollback
from raylift.serve_runtime.deploy.traffic_stats import (
    ArmStats,
    Snapshot,
    snapshot,
)
from raylift.serve_runtime.deploy.watch import DeployFailed, watch
from raylift.serve_runtime.deploy.withdrawal import without
from raylift.serve_runtime.release import Submission
from raylift.serve_runtime.status.status import applications_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from raylift.serve_runtime.cluster.protocol import Cluster
    from raylift.serve_runtime.deploy.canary_plan import Canary
    from raylift.serve_runtime.deploy.convergence import Convergence
    from raylift.serve_runtime.deploy.defaults import Added
    from raylift.serve_runtime.deploy.prepare import Prepared
    from raylift.serve_runtime.release import Release

# If raylift exits, the splitter shifts the traffic back after this time.
_LEASE_SECONDS = 15.0
_RENEW_SECONDS = 4.0
_ROLLBACK_SECONDS = 120.0
# Errors end a step early only after this number of requests.
_MIN_REQUESTS = 20
_ALL = 100


class Rollout:
    """The rollout of one canary, from its first replica to promotion or rollback."""

    def __init__(self, convergence: Convergence, canary: Canary) -> None:
        self._convergence = convergence
        self._cluster = convergence.cluster
        self._say = convergence.say
        self._canary = canary
        self._added: list[Added] = []
        self._baseline = ArmStats()

    def run(
        self, prepared: Prepared, *, steps: Sequence[float], step_s: float
    ) -> Release:
        """Start the new version, shift traffic in steps, and promote the version.

        With a single step of 100%, all traffic shifts at once, and the new version is
        compared with the old version before the shift.

        Raises:
            RolledBack: The new version failed or got a bad verdict; the old version has
                all traffic.
            NotRolledBack: The rollback failed as well.
        """
        before = self._snapshot()
        release = self._submit(prepared)
        arm = self._canary.arm
        self._added = [each for each in prepared.added if each.application == arm]
        try:
            self._start()
            self._baseline = self._stats_since(before)[0]
            for percent in steps:
                self._step(percent, seconds=step_s, at_once=len(steps) == 1)
            self._promote()
        except DeployFailed as failed:
            self._fail(release, str(failed))
        except (KeyboardInterrupt, RayliftError) as error:
            self._say(f"rolling back {self._canary.arm}")
            roll_back(self._cluster, release, reason=str(error) or "interrupted")
            raise
        return self._close(release)

    def _submit(self, prepared: Prepared) -> Release:
        canary = self._canary
        documents = {
            canary.name: canary.beside,
            canary.arm: canary.old,
            canary.splitter: canary.shifted(0),
        }
        return self._cluster.submit(
            Submission(documents, prepared.base, prepared.options, canary.rollback)
        )

    def _close(self, release: Release) -> Release:
        canary = self._canary
        documents = {
            canary.arm: canary.new,
            canary.splitter: canary.splits,
            canary.name: None,
        }
        release = replace(release, documents=documents)
        self._cluster.close(release, "good")
        return release

    def _start(self) -> None:
        """Start the new version beside the old one, without traffic."""
        canary = self._canary
        added = [replace(each, application=canary.name) for each in self._added]
        beside, remaining = self._reach(canary.name, canary.beside, added)
        self._added = [replace(each, application=canary.arm) for each in remaining]
        withdrawn = [each for each in added if each not in remaining]
        self._canary = replace(
            canary, beside=beside, new=without(canary.new, withdrawn)
        )
        self._wait(canary.splitter, canary.shifted(0))

    # -- steps ---------------------------------------------------------------

    def _step(self, percent: float, *, seconds: float, at_once: bool) -> None:
        """Shift traffic, renew the lease during the step, and stop on a bad verdict.

        With `at_once`, the new version also passes a step without requests.
        """
        self._say(f"shifting {percent:g}% to the new version for {seconds:g} s")
        renewed = 0
        self._shift(percent, renewed)
        started, before = time.monotonic(), self._snapshot()
        while (left := started + seconds - time.monotonic()) > 0:
            time.sleep(min(left, _RENEW_SECONDS))
            renewed += 1
            self._shift(percent, renewed)
            self._refuse_unhealthy()
            old, new = self._stats_since(before)
            if new.errors and new.requests >= _MIN_REQUESTS:
                self._refuse_worse(percent, new, old)
        old, new = self._stats_since(before)
        if new.requests or not at_once:
            self._refuse_worse(percent, new, old)
        self._say(f"{percent:g}%: {_comparison(new, old)}")
        if percent < _ALL:
            self._baseline = old

    def _refuse_worse(self, percent: float, new: ArmStats, old: ArmStats) -> None:
        """Raise DeployFailed if the new version is worse.

        At 100%, it is compared with the previous step, because the old version
        receives no traffic.
        """
        verdict = analyze(new, old if percent < _ALL else self._baseline)
        if verdict:
            raise DeployFailed(f"{self._canary.arm}: at {percent:g}%: {verdict}")

    def _refuse_unhealthy(self) -> None:
        for application in applications_of(self._cluster.dashboard.serve_details()):
            unhealthy = application.status in ("UNHEALTHY", "DEPLOY_FAILED")
            if application.name == self._canary.name and unhealthy:
                raise DeployFailed(
                    f"{self._canary.arm}: the new version is {application.status}"
                )

    def _snapshot(self) -> Snapshot:
        return snapshot(self._cluster.dashboard, self._canary.splitter)

    def _stats_since(self, before: Snapshot) -> tuple[ArmStats, ArmStats]:
        """Return the stats of the old and the new version."""
        stats, none = self._snapshot().since(before), ArmStats()
        return stats.get(self._canary.arm, none), stats.get(self._canary.name, none)

    # -- writes --------------------------------------------------------------

    def _shift(self, percent: float, renewed: int) -> None:
        lease = {"seconds": _LEASE_SECONDS, "renewed": renewed}
        document = self._canary.shifted(percent, lease=lease)
        self._write(self._canary.splitter, document)

    def _promote(self) -> None:
        """Replace the old version.

        Remove the lease first, because no rollback is needed.
        """
        canary = self._canary
        self._write(canary.splitter, canary.shifted(100))
        self._cluster.rewrite({canary.arm: canary.new})
        new, _ = self._reach(canary.arm, canary.new, self._added)
        self._canary = replace(canary, new=new)
        self._write(canary.splitter, canary.splits)
        self._write(canary.name, None)

    def _write(self, name: str, document: dict[str, Any] | None) -> None:
        self._cluster.rewrite({name: document})
        self._wait(name, document)

    def _wait(self, name: str, document: dict[str, Any] | None) -> None:
        # The weights change every few seconds, and take effect within a second.
        quiet = name == self._canary.splitter
        convergence = self._convergence
        if quiet:
            convergence = replace(convergence, on_change=lambda _: None)
        convergence.reach({name: document})

    def _reach(
        self, name: str, document: dict[str, Any], added: list[Added]
    ) -> tuple[dict[str, Any], list[Added]]:
        """Wait for an application; return its document and the remaining defaults."""
        documents, remaining = self._convergence.reach({name: document}, added)
        return documents[name], remaining

    def _fail(self, release: Release, cause: str) -> NoReturn:
        roll_back(self._cluster, release, reason=cause)
        raise RolledBack(
            f"deploy failed: {cause}; rolled back: {self._canary.arm} is serving the"
            " last good version, which receives all traffic",
            hint=FIX_AND_RETRY,
        )


def roll_back(cluster: Cluster, release: Release, *, reason: str) -> None:
    """Restore the old version, application by application, and close the release.

    Raises:
        NotRolledBack: An application could not be restored.
        Unreachable: There was no response; the release stays open for the next run.
    """
    try:
        for name, document in release.back:
            cluster.rewrite({name: document})
            watch(cluster, {name: document}, timeout_s=_ROLLBACK_SECONDS)
    except DeployFailed as failed:
        fail_rollback(cluster, release, cause=reason, error=failed)
    cluster.close(release, "rolled back", reason)


def recover(cluster: Cluster, *, say: Callable[[str], None]) -> None:
    """Roll back the canaries of interrupted runs."""
    for release in cluster.unfinished():
        if release.back and cluster.adopt(release):
            say(
                f"release {release.number} by {release.author} was interrupted while"
                f" shifting traffic; rolling back {release.back[0][0]}"
            )
            roll_back(cluster, release, reason="it was interrupted")


def _comparison(new: ArmStats, old: ArmStats) -> str:
    return f"new version: {_summary(new)}; old version: {_summary(old)}"


def _summary(stats: ArmStats) -> str:
    p95 = stats.latency_ms(0.95)
    latency = f", p95 {p95:.0f} ms" if p95 else ""
    return f"{stats.requests:.0f} requests, {stats.errors:.0f} failed{latency}"
