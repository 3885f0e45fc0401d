"""A new version beside the old one: traffic in steps, a judgement after each.

The new version runs as an application of its own until the splitter has sent it all
traffic and nothing was wrong; then the old application becomes the new version while
nobody asks it, gets the traffic, and the other one goes. At every moment one release
holds all three applications, and says what would put the old version back.
"""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raylift.errors import (
    CannotWork,
    Conflict,
    InputFailed,
    RayliftError,
    RolledBack,
)
from serve_runtime.deploy import give_up
from serve_runtime.status import applications_of
from serve_runtime.traffic.documents import split_of, with_split
from serve_runtime.traffic.figures import Figures, Look, judge, look
from serve_runtime.watch import DeployFailed, watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from serve_runtime.cluster import Cluster
    from serve_runtime.prepare import Prepared
    from serve_runtime.release import Release
    from serve_runtime.watch import Seen

SUFFIX = "-canary"
# So long the traffic stays shifted without us; then the splitter itself goes back.
_LEASE_SECONDS = 15.0
_RENEW_SECONDS = 4.0
_BACK_SECONDS = 120.0
# Before its step ends a version is stopped only for errors of so many requests.
_ENOUGH = 20
_ALL = 100


@dataclass(frozen=True, slots=True)
class Canary:
    """What a canary is about.

    `arm` is the application, in its `old` and its `new` document; `splits` is the
    document of the `splitter` in front of it as it was, and `weights` its arms;
    `beside` is the new document under the name and route that it has while it is tried.
    """

    arm: str
    old: dict[str, Any]
    new: dict[str, Any]
    splitter: str
    splits: dict[str, Any]
    weights: dict[str, float]
    beside: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the new version while it runs beside the old one."""
        return str(self.beside["name"])

    @property
    def back(self) -> list[tuple[str, dict[str, Any] | None]]:
        """What puts the old version back: first it serves, then it has the traffic."""
        return [
            (self.arm, self.old),
            (self.splitter, self.splits),
            (self.name, None),
        ]

    def shifted(
        self, percent: float, *, lease: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """The splitter with so much of the arm's share on the new version."""
        held = {**lease, "arms": self._weights(0)} if lease else None
        return with_split(self.splits, arms=self._weights(percent), lease=held)

    def _weights(self, percent: float) -> dict[str, float]:
        weight = self.weights[self.arm] / 100
        moved = {self.arm: weight * (100 - percent), self.name: weight * percent}
        return {**self.weights, **moved}


def prepare_canary(cluster: Cluster, prepared: Prepared) -> Canary | None:
    """The one application of a plan that changes; None when nothing does.

    Raises:
        InputFailed: more than one changes.
        CannotWork: there is no old version, or no splitter in front of it.
        Conflict: one is being deployed, or the name for the new version is taken.
    """
    cluster.refuse_busy(prepared.plan.documents)
    touched = prepared.plan.documents
    changes = [c for c in prepared.plan.changes if c.application in touched]
    if not changes:
        return None
    if len(changes) > 1:
        names = ", ".join(change.application for change in changes)
        raise InputFailed.at("", f"a canary takes one application, and {names} change")
    arm, action = changes[0].application, changes[0].action
    if action == "create":
        raise CannotWork(
            f"{arm}: no old version serves, and a canary is judged against one",
            hint="raylift deploy without --canary",
        )
    new = touched[arm]
    splitters = {
        name: split.arms
        for name, document in prepared.there.items()
        if (split := split_of(document)) and split.arms.get(arm)
    }
    if len(splitters) != 1 or new is None:
        front = ", ".join(splitters) or "none"
        raise CannotWork(
            f"{arm}: one splitter must stand in front of it, and there is {front}",
            hint="docs/traffic.md shows how to put one there",
        )
    ((splitter, weights),) = splitters.items()
    name = f"{arm}{SUFFIX}"
    if name in prepared.there:
        raise Conflict(
            f"application '{name}' exists; the new version would take its name",
            hint=f"raylift delete {name}",
        )
    route = f"{new.get('route_prefix') or '/'}".rstrip("/") or f"/{arm}"
    beside = {**new, "name": name, "route_prefix": f"{route}{SUFFIX}"}
    return Canary(
        arm=arm,
        old=prepared.there[arm],
        new=new,
        splitter=splitter,
        splits=prepared.there[splitter],
        weights=weights,
        beside=beside,
    )


class Rollout:
    """One canary from its first replica to its end, either way."""

    def __init__(
        self,
        cluster: Cluster,
        canary: Canary,
        *,
        timeout_s: float,
        on_change: Callable[[Seen], None],
        say: Callable[[str], None],
    ) -> None:
        self._cluster = cluster
        self._canary = canary
        self._timeout = timeout_s
        self._on_change = on_change
        self._say = say
        self._usual = Figures()

    def run(
        self, prepared: Prepared, *, steps: Sequence[float], step_s: float
    ) -> Release:
        """Start the new version, shift in steps, judge each, and make it the version.

        With a single step of 100 the traffic moves at once, and what the old version
        did until then is what the new one is judged against.

        Raises:
            RolledBack: it failed or was judged bad; the old version has all traffic.
            NotRolledBack: and going back failed too.
        """
        canary = self._canary
        began = self._look()
        release = self._cluster.submit(
            {
                canary.name: canary.beside,
                canary.arm: canary.old,
                canary.splitter: canary.shifted(0),
            },
            base=prepared.base,
            options=prepared.options,
            back=canary.back,
        )
        try:
            self._until(canary.name, canary.beside)
            self._until(canary.splitter, canary.shifted(0))
            self._usual = self._since(began)[0]
            for percent in steps:
                self._step(percent, seconds=step_s, at_once=len(steps) == 1)
            self._promote()
        except DeployFailed as failed:
            self._fail(release, str(failed))
        except (KeyboardInterrupt, RayliftError) as error:
            self._say("putting the old version back")
            go_back(self._cluster, release, reason=str(error) or "interrupted")
            raise
        done = {canary.arm: canary.new, canary.splitter: canary.splits}
        release = dataclasses.replace(release, documents={**done, canary.name: None})
        self._cluster.close(release, "good")
        return release

    def _step(self, percent: float, *, seconds: float, at_once: bool) -> None:
        canary, renewed = self._canary, 0
        self._say(f"{percent:g} % to the new version, for {seconds:g} s")
        self._shift(percent, renewed)
        began, before = time.monotonic(), self._look()
        while (left := began + seconds - time.monotonic()) > 0:
            time.sleep(min(left, _RENEW_SECONDS))
            renewed += 1
            self._shift(percent, renewed)
            self._refuse_unwell()
            old, new = self._since(before)
            bad = self._judge(percent, new, old)
            if bad and new.errors and new.requests >= _ENOUGH:
                raise DeployFailed(f"{canary.arm}: at {percent:g} %: {bad}")
        old, new = self._since(before)
        bad = self._judge(percent, new, old)
        if bad and (new.requests or not at_once):
            raise DeployFailed(f"{canary.arm}: at {percent:g} %: {bad}")
        self._say(f"{percent:g} %: {_told(new, old)}")
        if percent < _ALL:
            self._usual = old

    def _judge(self, percent: float, new: Figures, old: Figures) -> str:
        """In the same time; at 100 % in the time before, as the old one has none."""
        return judge(new, old if percent < _ALL else self._usual)

    def _shift(self, percent: float, renewed: int) -> None:
        lease = {"seconds": _LEASE_SECONDS, "renewed": renewed}
        document = self._canary.shifted(percent, lease=lease)
        self._write(self._canary.splitter, document)

    def _promote(self) -> None:
        """All traffic is on the new version, which is good: it need not go back."""
        canary = self._canary
        self._write(canary.splitter, canary.shifted(100))
        self._write(canary.arm, canary.new)
        self._write(canary.splitter, canary.splits)
        self._write(canary.name, None)

    def _write(self, name: str, document: dict[str, Any] | None) -> None:
        self._cluster.rewrite({name: document})
        self._until(name, document)

    def _until(self, name: str, document: dict[str, Any] | None) -> None:
        # New weights come every few seconds, and take a moment: not worth a line.
        quiet = name == self._canary.splitter
        watch(
            self._cluster,
            {name: document},
            timeout_s=self._timeout,
            on_change=(lambda _: None) if quiet else self._on_change,
        )

    def _refuse_unwell(self) -> None:
        for found in applications_of(self._cluster.dashboard.serve_details()):
            bad = found.status in ("UNHEALTHY", "DEPLOY_FAILED")
            if found.name == self._canary.name and bad:
                raise DeployFailed(
                    f"{self._canary.arm}: the new version is {found.status}"
                )

    def _look(self) -> Look:
        return look(self._cluster.dashboard, self._canary.splitter)

    def _since(self, before: Look) -> tuple[Figures, Figures]:
        done = self._look().since(before)
        none = Figures()
        return done.get(self._canary.arm, none), done.get(self._canary.name, none)

    def _fail(self, release: Release, cause: str) -> None:
        go_back(self._cluster, release, reason=cause)
        raise RolledBack(
            f"deploy failed: {cause}",
            hint=f"the last good version of {self._canary.arm} has all traffic again",
        )


def go_back(cluster: Cluster, release: Release, *, reason: str) -> None:
    """Put the old version back, one application after the other, and close.

    Raises:
        NotRolledBack: one of them does not come back.
        Unreachable: the release stays open, for the next command.
    """
    try:
        for name, document in release.back:
            cluster.rewrite({name: document})
            watch(cluster, {name: document}, timeout_s=_BACK_SECONDS)
    except DeployFailed as failed:
        give_up(cluster, release, cause=reason, error=failed)
    cluster.close(release, "rolled back", reason)


def recover(cluster: Cluster, *, say: Callable[[str], None]) -> None:
    """Give the old version its traffic back where a canary was cut off."""
    for release in cluster.unfinished():
        if release.back and cluster.adopt(release):
            say(
                f"release {release.number} by {release.author} was cut off while it"
                f" shifted traffic; putting {release.back[0][0]} back"
            )
            go_back(cluster, release, reason="it was cut off")


def _told(new: Figures, old: Figures) -> str:
    return f"new {_figures(new)}; old {_figures(old)}"


def _figures(figures: Figures) -> str:
    slow = figures.latency_ms(0.95)
    latency = f", 95 % within {slow:.0f} ms" if slow else ""
    return f"{figures.requests:.0f} requests, {figures.errors:.0f} failed{latency}"
