"""A double of Helm: a release is a Secret in the cluster, and no chart is rendered.

$K8SFAKE_SECONDS is the time that Helm waits for the creation or deletion of a chart's
objects. The release exists from the start, as `pending-install`, so if the engine is
killed during this time, an orphaned release remains.
"""

from __future__ import annotations

import os
import secrets

import grpc
from fakelib import plugin
from fakelib.plugin import struct
from pulumi.runtime.proto import provider_pb2, resource_pb2, resource_pb2_grpc

RELEASE, CHART = "kubernetes:helm.sh/v3:Release", "kubernetes:helm.sh/v4:Chart"
TAKEN = "cannot re-use a name that is still in use"
BUSY = "another operation (install/upgrade/rollback) is in progress"
GONE = "uninstall: Release not loaded: {name}: release: not found"


class HelmError(Exception):
    """An error with Helm's message."""


def is_release(request):
    """Return whether a request of the engine is for a Helm release."""
    return plugin.type_of(request.urn) == RELEASE


def named(urn, inputs, default_namespace):
    """Return the inputs with a name and a namespace, if they omit them."""
    name = inputs.get("name") or f"{plugin.name_of(urn)}-{secrets.token_hex(4)}"
    return {
        **inputs,
        "name": name,
        "namespace": inputs.get("namespace") or default_namespace,
    }


class Release:
    """A Helm release in a cluster.

    `inputs` contain its name and how to wait for it. `pause` waits for a number of
    seconds and returns whether it was cancelled.
    """

    def __init__(self, cluster, inputs, pause):
        self.cluster, self.inputs, self.pause = cluster, inputs, pause
        self.path = f"/api/v1/namespaces/{inputs['namespace']}/secrets"

    def revisions(self):
        """Return Helm's records of the release, oldest first."""
        selector = f"owner=helm,name={self.inputs['name']}"
        found = self.cluster.send("GET", self.path, labelSelector=selector)["items"]
        return sorted(
            found, key=lambda each: int(each["metadata"]["labels"]["version"])
        )

    def install(self):
        if self.revisions():
            raise HelmError(TAKEN)
        self._record(1, "pending-install")
        if self._is_cancelled():
            if self.inputs.get("atomic"):
                self._forget()
            else:
                self._mark("failed")
            raise HelmError("context canceled")
        self._mark("deployed")

    def upgrade(self):
        old = self.revisions()[-1]["metadata"]["labels"]
        if old["status"].startswith("pending-"):
            raise HelmError(BUSY)
        self._mark("superseded")
        self._record(int(old["version"]) + 1, "pending-upgrade")
        if self._is_cancelled():
            self._mark("failed")
            raise HelmError("context canceled")
        self._mark("deployed")

    def uninstall(self):
        """Uninstall the release; as in the real provider, this cannot be cancelled."""
        if not self.revisions():
            raise HelmError(GONE.format(**self.inputs))
        self._mark("uninstalling")
        self._is_cancelled()
        self._forget()

    def outputs(self):
        """Return the provider's outputs of the release."""
        labels = self.revisions()[-1]["metadata"]["labels"]
        about = {key: self.inputs.get(key, "") for key in ("name", "namespace")}
        chart = {key: self.inputs.get(key, "") for key in ("chart", "version")}
        state = {"status": labels["status"], "revision": int(labels["version"])}
        return {**self.inputs, "status": {**about, **chart, **state}}

    def _record(self, version, status):
        name = self.inputs["name"]
        labels = {"name": name, "owner": "helm", "version": str(version)}
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "helm.sh/release.v1",
            "metadata": {
                "name": f"sh.helm.release.v1.{name}.v{version}",
                "labels": {**labels, "status": status},
            },
        }
        self.cluster.send("POST", self.path, secret)

    def _mark(self, status):
        last = self.revisions()[-1]["metadata"]["name"]
        body = {"metadata": {"labels": {"status": status}}}
        merge = "application/merge-patch+json"
        self.cluster.send("PATCH", f"{self.path}/{last}", body, merge)

    def _forget(self):
        for revision in self.revisions():
            self.cluster.send("DELETE", f"{self.path}/{revision['metadata']['name']}")

    def _is_cancelled(self):
        waits = not self.inputs.get("skipAwait")
        return self.pause(float(os.environ.get("K8SFAKE_SECONDS") or 0) if waits else 0)


def record_chart(request):
    """Return the response to Construct: a component without children."""
    channel = grpc.insecure_channel(request.monitorEndpoint)
    monitor = resource_pb2_grpc.ResourceMonitorStub(channel)
    chart = resource_pb2.RegisterResourceRequest(
        type=request.type,
        name=request.name,
        parent=request.parent,
        object=request.inputs,
        acceptSecrets=True,
    )
    urn, outputs = monitor.RegisterResource(chart).urn, struct({"resources": []})
    monitor.RegisterResourceOutputs(
        resource_pb2.RegisterResourceOutputsRequest(urn=urn, outputs=outputs)
    )
    return provider_pb2.ConstructResponse(urn=urn, state=outputs)
