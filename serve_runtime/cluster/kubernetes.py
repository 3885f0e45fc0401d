"""The cluster of a stack on Kubernetes: its RayService and a release ledger.

KubeRay sends `spec.serveConfigV2` to Ray; raylift never writes to the dashboard. Each
write includes the resourceVersion that it is based on. One of two concurrent writers
therefore has to read the field again and keeps the changes of the other.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import time
from typing import TYPE_CHECKING, Any, Self

from raylift.errors import (
    InvalidInput,
    PermissionDenied,
    RayliftError,
    Unreachable,
)
from raylift.pod_troubles import last_seen
from raylift.ray_service_updates import apply_bounds, bounded_cluster
from raylift.serve_runtime.cluster.conflicts import (
    INTERRUPTED,
    changed,
    refuse_overlap,
)
from raylift.serve_runtime.cluster.controller_revisions import ControllerRevisions
from raylift.serve_runtime.cluster.protocol import Blocker
from raylift.serve_runtime.cluster.ray_cluster_switch import wait_until_settled
from raylift.serve_runtime.cluster.serve_config_v2 import (
    config_of,
    documents_of,
    options_of,
    with_pod_address,
)
from raylift.serve_runtime.packaging.package_store import PackageStore
from raylift.serve_runtime.packaging.upload_cache import packed
from raylift.serve_runtime.ray_api.dashboard import reason
from raylift.serve_runtime.release import Desired, merged
from raylift.serve_runtime.status.potential_nodes import potential_nodes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from raylift.outputs import KubernetesOutputs
    from raylift.ray_service_client import RayServiceClient
    from raylift.serve_runtime.ray_api.dashboard import Dashboard, RayNode
    from raylift.serve_runtime.release import Documents, Outcome, Release, Submission

_WRITE_SECONDS = 30.0
_PAUSE_SECONDS = 0.1
# Ray rejects the empty config that KubeRay sends before the first deploy. KubeRay may
# report that shortly after the first config was written.
_STALE_SECONDS = 3.0
# ray-operator/controllers/ray/utils/dashboardclient/dashboard_httpclient.go
_EVENT = "FailedToUpdateServeApplications"
_REFUSED = re.compile(r"UpdateDeployments fail: 4\d\d [A-Za-z ]+ (.*)", re.DOTALL)


class KubernetesCluster:
    """Desired state in the RayService, ledger in ControllerRevisions."""

    deletes_imperative = False
    # A pod receives requests only after its next readiness probe.
    routed_within_s = 30.0
    # KubeRay replaces a lost head within 30 s.
    silent_for_s = 120.0

    def __init__(
        self,
        outputs: KubernetesOutputs,
        dashboard: Dashboard,
        service: RayServiceClient,
    ) -> None:
        self.outputs = outputs
        self.dashboard = dashboard
        self.ships_splitter = bool(outputs.packages)
        self._service = service
        self._revisions = ControllerRevisions(service)
        self._package_store = _package_store(outputs, service)
        self._written = float("inf")

    def __enter__(self) -> Self:
        """Return the cluster."""
        return self

    def __exit__(self, *_: object) -> None:
        """Give up the claims on open releases, so that other runs need not wait."""
        with contextlib.suppress(RayliftError):
            self._revisions.close()

    def desired(self) -> Desired:
        """Return the state in `serveConfigV2` and the good documents in the ledger."""
        config = config_of(self._service.require())
        return Desired(
            options=options_of(config),
            applications=documents_of(config),
            good=self._revisions.good(),
        )

    def submit(self, submission: Submission) -> Release:
        """Open a release and write `serveConfigV2`."""
        documents = submission.documents
        with contextlib.suppress(PermissionDenied):  # `up` does it as well
            apply_bounds(self._service)
        self.refuse_busy(documents)
        self._abandon(documents)
        release = self._revisions.open(submission)
        try:
            # Two concurrent runs may have passed the check; the lower number wins.
            earlier = (r for r in self._revisions.busy() if r.number < release.number)
            refuse_overlap(documents, earlier)
            self._written = self._service.api.time()
            self._write(
                documents, options=submission.options, replaced=submission.replaced
            )
        except RayliftError as error:
            with contextlib.suppress(RayliftError):
                self.close(release, "failed", str(error))
            raise
        return release

    def refuse_other_address(self, _: dict[str, Any]) -> None:
        """Do nothing, because only Serve uses the ports of a pod."""

    def refuse_busy(self, names: Iterable[str]) -> None:
        """Raise Conflict if another process is working on one of these applications."""
        refuse_overlap(names, self._revisions.busy())

    def rewrite(self, documents: Documents) -> None:
        """Write these documents without opening a release."""
        self._revisions.refuse_lost()
        self._written = self._service.api.time()
        self._write(documents)

    def close(self, release: Release, outcome: Outcome, reason: str = "") -> None:
        """Record the outcome; `good` makes the documents the target of rollbacks."""
        self._revisions.end(release, outcome, reason)
        if outcome == "good" and self._package_store:
            with contextlib.suppress(RayliftError):  # the next release tries again
                self._package_store.keep(self._used_packages())

    def unfinished(self) -> list[Release]:
        """Return the open releases whose claim has expired."""
        return [revision.release for revision in self._revisions.unfinished()]

    def adopt(self, release: Release) -> bool:
        """Claim an interrupted release."""
        return self._revisions.adopt(release.number)

    def upload(
        self, directory: Path, *, location: str, excludes: Sequence[str] = ()
    ) -> tuple[str, int]:
        """Store a package in the stack's bucket or package store."""
        from raylift.serve_runtime.packaging.s3 import Bucket, store

        if not self.outputs.packages:
            raise InvalidInput.at(
                location,
                f"{directory} is a local directory, but stack '{self.outputs.stack}'"
                " has neither a package store nor a bucket",
                hint="add raylift:packageVolume: {} to the stack file, then run"
                f" `raylift up -s {self.outputs.stack}`",
            )
        package = packed(directory, location=location, excludes=excludes)
        if self._package_store:
            return self._package_store.store(package)
        bucket = Bucket(
            self.outputs.packages,
            profile=self.outputs.profile or None,
            region=self.outputs.region or None,
        )
        return store(package, bucket)

    def wait_until_settled(self, *, say: Callable[[str], None]) -> None:
        """Wait until there is one Ray cluster, and its head responds."""
        wait_until_settled(self._service, self.dashboard, say=say)

    def potential_nodes(self, existing: Iterable[RayNode]) -> list[RayNode]:
        """Return the nodes that Ray's autoscaler could add within `maxReplicas`."""
        cluster = bounded_cluster(self._service)
        return potential_nodes(cluster, existing) if cluster else []

    def blocker(self, *, delivered: bool) -> Blocker | None:
        """Return the reason that KubeRay or Kubernetes reports."""
        refused = self._refusal()
        if not delivered:
            text = refused or "KubeRay has not sent the config to Ray yet"
            return Blocker(text, final=bool(refused))
        troubles = self._service.troubles(self._service.clusters().newest)
        # Ray may have rejected the config because of another application.
        text = str(troubles[0]) if troubles else refused
        return Blocker(text, final=False) if text else None

    def notices(self) -> list[str]:
        """Return the pending Ray cluster and the pods that are not running."""
        clusters = self._service.clusters()
        troubles = map(str, self._service.troubles(clusters.newest))
        if not clusters.are_two:
            return list(troubles)
        return [
            f"Ray cluster {clusters.pending} is pending and has not taken over yet",
            *troubles,
        ]

    # ---

    def _write(
        self,
        documents: Documents,
        *,
        options: dict[str, Any] | None = None,
        replaced: Documents | None = None,
    ) -> None:
        """Change `serveConfigV2`; retry after concurrent changes.

        Raises:
            Conflict: One of the `replaced` documents was changed.
            Unreachable: Concurrent changes did not stop.
        """
        deadline = time.monotonic() + _WRITE_SECONDS
        while time.monotonic() < deadline:
            service = self._service.require()
            config = config_of(service)
            if not config:
                self._written += _STALE_SECONDS
            self._refuse_changed(documents_of(config), replaced or {})
            target = _changed_config(config, documents, options)
            if target == config or self._replace(service, target):
                return
            # A random pause, to give each of many writers a chance.
            time.sleep(random.uniform(0, 2 * _PAUSE_SECONDS))  # noqa: S311 no secret
        raise Unreachable(
            "cannot update the RayService: concurrent changes did not stop within"
            f" {_WRITE_SECONDS:.0f} s",
            hint="run the same command again",
        )

    def _replace(self, service: dict[str, Any], config: dict[str, Any]) -> bool:
        """Write a config; return False if the RayService was changed since."""
        text = json.dumps(config, indent=2)
        version = service["metadata"]["resourceVersion"]
        return self._service.set_serve_config(text, version=version)

    def _refuse_changed(self, applications: Documents, replaced: Documents) -> None:
        for name, document in replaced.items():
            if applications.get(name) != document:
                raise changed(name, self._revisions.last_of(name))

    def _abandon(self, documents: Documents) -> None:
        for revision in self._revisions.unfinished():
            if documents.keys() & revision.release.documents.keys():
                self._revisions.abandon(revision, INTERRUPTED)

    def _used_packages(self) -> set[str]:
        """Return the URIs of the code that runs, or that a rollback would run."""
        desired = self.desired()
        documents = [*desired.applications.values(), *desired.good.values()]
        for release in (*self._revisions.busy(), *self.unfinished()):
            documents += filter(None, release.documents.values())
            documents += [document for _, document in release.back if document]
        environments = (document.get("runtime_env") or {} for document in documents)
        return {env["working_dir"] for env in environments if env.get("working_dir")}

    def _refusal(self) -> str:
        """Return Ray's error if it rejected the last config."""
        selector = f"involvedObject.name={self.outputs.stack},reason={_EVENT}"
        for event in self._service.events(selector):
            refused = _REFUSED.search(event.get("message", ""))
            if refused and last_seen(event) >= self._written:
                return f"Ray rejected the config: {reason(refused[1])}"
        return ""


def _package_store(
    outputs: KubernetesOutputs, service: RayServiceClient
) -> PackageStore | None:
    """Return the stack's package store, or None if it has a bucket or neither."""
    if not outputs.packages.startswith("http:"):
        return None
    return PackageStore(service.api, outputs.namespace, outputs.packages)


def _changed_config(
    config: dict[str, Any], documents: Documents, options: dict[str, Any] | None
) -> dict[str, Any]:
    applications = merged(documents_of(config), documents)
    return with_pod_address(
        {
            **(options or options_of(config)),
            "applications": list(applications.values()),
        }
    )
