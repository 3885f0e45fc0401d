"""The cluster of a stack on Kubernetes: its RayService, and a ledger.

KubeRay hands `spec.serveConfigV2` to Ray; nobody else writes to the dashboard. Each
write names the version of the object that it stands on, so that of two writers one has
to look again; what the other has changed meanwhile stays.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from raylift.errors import CannotWork, Conflict, InputFailed, RayliftError, Unreachable
from raylift.ray_service import SERVE_PORT
from serve_runtime.cluster import Holdup
from serve_runtime.dashboard import reason
from serve_runtime.release import Desired, merged
from serve_runtime.revisions import Revisions
from serve_runtime.worker_groups import could_join

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from raylift.outputs import ClusterOutputs
    from raylift.ray_service import RayService
    from serve_runtime.dashboard import Dashboard, Node
    from serve_runtime.release import Outcome, Release

_SETTLE_SECONDS, _SETTLE_POLL_SECONDS = 600.0, 0.5
_TAKEOVER_SECONDS = 90.0
_WRITE_SECONDS = 30.0
_FAILED = {"DEPLOY_FAILED", "UNHEALTHY"}
_PAUSE_SECONDS = 0.1
_GRPC_PORT = 9000
# ray-operator/controllers/ray/utils/dashboardclient/dashboard_httpclient.go
_EVENT = "FailedToUpdateServeApplications"
_REFUSED = re.compile(r"UpdateDeployments fail: 4\d\d [A-Za-z ]+ (.*)", re.DOTALL)


class KubernetesCluster:
    """Desired state in the RayService, ledger in ControllerRevisions, code in S3."""

    # A pod takes requests some seconds after its proxy does: its probe's period.
    routed_within_s = 30.0
    # A head that is lost has a successor after half a minute.
    silent_for_s = 120.0

    def __init__(
        self, outputs: ClusterOutputs, dashboard: Dashboard, service: RayService
    ) -> None:
        self.outputs = outputs
        self.dashboard = dashboard
        self.ships_splitter = bool(outputs.packages)
        self._service = service
        self._revisions = Revisions(service)
        self._written = float("inf")

    def __enter__(self) -> Self:
        """Itself; releases are held until the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of releases that are still held: others need not wait."""
        with contextlib.suppress(RayliftError):
            self._revisions.close()

    def desired(self) -> Desired:
        """What `serveConfigV2` says, and what the ledger knows to be good."""
        config = config_of(self._service.there())
        return Desired(
            options=_options(config),
            applications=_applications(config),
            good=self._revisions.good(),
        )

    def submit(
        self,
        documents: Mapping[str, dict[str, Any] | None],
        *,
        base: Desired,
        options: dict[str, Any],
        back: Sequence[tuple[str, dict[str, Any] | None]] = (),
    ) -> Release:
        """Open a release and write `serveConfigV2`."""
        self.refuse_busy(documents)
        self._end_abandoned(documents)
        before = {name: base.applications.get(name) for name in documents}
        release = self._revisions.open(documents, before=before, back=back)
        try:
            # Two may have looked at once; the one that was first goes on.
            self._refuse_busy(documents, until=release.number)
            self._written = self._service.api.time()
            self._write(documents, options=options, before=before)
        except RayliftError as error:
            with contextlib.suppress(RayliftError):
                self.close(release, "failed", str(error))
            raise
        return release

    def refuse_other_address(self, _: dict[str, Any]) -> None:
        """Nothing: Serve has its port in each pod to itself."""

    def refuse_busy(self, names: Iterable[str]) -> None:
        """Raise Conflict where a release that somebody works on names one of these."""
        self._refuse_busy(names, until=sys.maxsize)

    def _refuse_busy(self, names: Iterable[str], *, until: int) -> None:
        for release in self._revisions.busy():
            both = sorted(set(names) & release.documents.keys())
            if both and release.number < until:
                raise Conflict(
                    f"application '{both[0]}' is being deployed by {release.author}"
                    f" (release {release.number})",
                    hint="wait for it to end, then run the same command again",
                )

    def rewrite(self, documents: Mapping[str, dict[str, Any] | None]) -> None:
        """Write these, without a new release."""
        self._revisions.refuse_lost()
        self._written = self._service.api.time()
        self._write(documents)

    def close(self, release: Release, outcome: Outcome, reason: str = "") -> None:
        """Write the outcome; after `good` its documents are what we go back to."""
        self._revisions.end(release, outcome, reason)

    def unfinished(self) -> list[Release]:
        """Open releases that nobody has renewed for some seconds."""
        return [revision.release for revision in self._revisions.unfinished()]

    def adopt(self, release: Release) -> bool:
        """Hold a release that nobody renews."""
        return self._revisions.adopt(release.number)

    def upload(self, directory: Path, *, place: str) -> tuple[str, int]:
        """An `s3://` URI into the stack's bucket, named by its content."""
        from serve_runtime.packing.bucket import store

        if not self.outputs.packages:
            raise InputFailed.at(
                place,
                f"{directory} is on this machine, and stack '{self.outputs.stack}' has"
                " no bucket for code",
                hint="set raylift:packages in the stack file, or name a URI that the"
                " cluster can read",
            )
        return store(
            directory,
            bucket=self.outputs.packages,
            place=place,
            profile=self.outputs.profile or None,
            region=self.outputs.region or None,
        )

    def settle(self, *, say: Callable[[str], None]) -> None:
        """Wait until there is one Ray cluster, and its head answers.

        While there are two, requests go to both, and KubeRay hands what is deployed to
        the newer one alone. One that does not take over is waited for some time only:
        perhaps nothing but another deploy can help it.
        """
        began, told = time.monotonic(), ""
        while waiting := self._unsettled(time.monotonic() - began):
            if waiting != told:
                say(waiting)
                told = waiting
            if time.monotonic() - began > _SETTLE_SECONDS:
                raise Unreachable(
                    f"not settled after {_SETTLE_SECONDS:.0f} s: {waiting}",
                    hint="raylift status, then the same command again",
                )
            time.sleep(_SETTLE_POLL_SECONDS)

    def could_join(self, there: Iterable[Node]) -> list[Node]:
        """What the bounds of the worker groups leave to Ray's autoscaler."""
        cluster = self._service.cluster()
        return could_join(cluster, there) if cluster else []

    def holdup(self, *, handed_over: bool) -> Holdup | None:
        """What KubeRay or Kubernetes say of why it does not become what was written."""
        if not handed_over:
            refused = self._refusal()
            text = refused or "KubeRay has not handed it to Ray yet"
            return Holdup(text, final=bool(refused))
        troubles = self._service.troubles(self._service.clusters().newest)
        return Holdup(str(troubles[0]), final=False) if troubles else None

    def notes(self) -> list[str]:
        """A cluster that is to take over, and pods that do not come."""
        clusters = self._service.clusters()
        troubles = map(str, self._service.troubles(clusters.newest))
        if not clusters.are_two:
            return list(troubles)
        return [f"Ray cluster {clusters.pending} is to take over", *troubles]

    # ---

    def _write(
        self,
        documents: Mapping[str, dict[str, Any] | None],
        *,
        options: dict[str, Any] | None = None,
        before: Mapping[str, dict[str, Any] | None] | None = None,
    ) -> None:
        """Change the field until nobody was faster.

        Raises:
            Conflict: one of these is not what it was `before`.
        """
        deadline = time.monotonic() + _WRITE_SECONDS
        while time.monotonic() < deadline:
            service = self._service.there()
            config = config_of(service)
            applications = _applications(config)
            self._refuse_changed(applications, before or {})
            wanted = {
                **(options or _options(config)),
                "applications": list(merged(applications, documents).values()),
            }
            if served_at(wanted) == config:
                return
            text = json.dumps(served_at(wanted), indent=2)
            version = service["metadata"]["resourceVersion"]
            if self._service.set_serve_config(text, version=version):
                return
            # Of many who write at once, none must be late for ever.
            time.sleep(random.uniform(0, 2 * _PAUSE_SECONDS))  # noqa: S311 no secret
        raise Unreachable(
            "others change the RayService all the time",
            hint="run the same command again",
        )

    def _refuse_changed(
        self,
        applications: Mapping[str, dict[str, Any]],
        before: Mapping[str, dict[str, Any] | None],
    ) -> None:
        for name, document in before.items():
            if applications.get(name) == document:
                continue
            last = self._revisions.last_of(name)
            who = f" by {last.author} in release {last.number}" if last else ""
            raise Conflict(
                f"application '{name}' was changed{who}",
                hint="look at it with raylift status, then deploy again",
            )

    def _end_abandoned(self, documents: Mapping[str, dict[str, Any] | None]) -> None:
        for revision in self._revisions.unfinished():
            if documents.keys() & revision.release.documents.keys():
                reason = "its process was cut off; the next deploy took over"
                self._revisions.abandon(revision, reason)

    def _unsettled(self, waited_s: float) -> str:
        """What is still to come; empty once nothing is, or nothing will."""
        try:
            service = self._service.there()
            clusters = self._service.clusters()
            if not clusters.newest:
                return "KubeRay has raised no Ray cluster yet"
            self.dashboard.version()
            old = {*self._service.all_clusters()} - {clusters.newest}
        except Unreachable as error:
            return str(error)
        if clusters.are_two:
            failed = _FAILED & set(clusters.applications.values())
            late = waited_s > _TAKEOVER_SECONDS
            # Without an application KubeRay never lets one take over.
            if failed or late or not _applications(config_of(service)):
                return ""
            return f"waiting for Ray cluster {clusters.pending} to take over"
        going = f"waiting for Ray cluster {min(old, default='')}"
        return f"{going}, which still gets requests, to go" if old else ""

    def _refusal(self) -> str:
        """Ray's own word where it refused what KubeRay has handed it since."""
        selector = f"involvedObject.name={self.outputs.stack},reason={_EVENT}"
        path = f"{self._service.core}/events"
        for event in self._service.api.items(path, fieldSelector=selector):
            refused = _REFUSED.search(event.get("message", ""))
            if refused and _seconds(event.get("lastTimestamp")) >= self._written:
                return f"Ray refused the config: {reason(refused[1])}"
        return ""


def config_of(service: dict[str, Any]) -> dict[str, Any]:
    """What `serveConfigV2` says; YAML, whoever wrote it.

    Raises:
        CannotWork: it is none.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    text = service["spec"].get("serveConfigV2") or "{}"
    try:
        config = json.loads(text)
    except ValueError:
        try:
            # Ray takes JSON, which has no dates.
            found = YAML(typ="safe", pure=True).load(text)
            config = json.loads(json.dumps(found, default=str))
        except YAMLError:
            config = None
    if not _is_config(config):
        raise CannotWork(
            f"spec.serveConfigV2 of RayService {service['metadata']['name']} is not a"
            " Serve config",
            hint="mend it with kubectl edit rayservice",
        )
    return dict(config)


def _is_config(found: Any) -> bool:  # noqa: ANN401 whatever stands there
    applications = found.get("applications") if isinstance(found, dict) else 0
    return applications is None or (
        isinstance(applications, list)
        and all(isinstance(each, dict) for each in applications)
    )


def _options(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "applications"}


def _applications(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = config.get("applications") or []
    return {each.get("name", "default"): each for each in found}


def served_at(config: dict[str, Any]) -> dict[str, Any]:
    """What pods and Services are made for, whatever a file says."""
    http = {**(config.get("http_options") or {}), "host": "0.0.0.0", "port": SERVE_PORT}  # noqa: S104 a pod's own network
    given = {**config, "http_options": http}
    if config.get("grpc_options"):
        given["grpc_options"] = {**config["grpc_options"], "port": _GRPC_PORT}
    return given


def _seconds(time: str | None) -> float:
    """A time of Kubernetes as seconds since the epoch; 0 without."""
    return datetime.fromisoformat(time).timestamp() if time else 0.0
