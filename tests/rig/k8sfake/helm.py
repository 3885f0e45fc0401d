"""Helm: recorded, never rendered."""

from __future__ import annotations

import secrets

import grpc
from fakelib import plugin
from fakelib.plugin import struct
from pulumi.runtime.proto import provider_pb2, resource_pb2, resource_pb2_grpc

RELEASE, CHART = "kubernetes:helm.sh/v3:Release", "kubernetes:helm.sh/v4:Chart"


def is_release(request):
    """Whether a request of the engine is about one."""
    return plugin.type_of(request.urn) == RELEASE


def record_release(request, inputs, default_namespace):
    """The answer to Create: as if the release were deployed."""
    logical = plugin.name_of(request.urn)
    name = inputs.get("name") or f"{logical}-{secrets.token_hex(4)}"
    place = {"name": name, "namespace": inputs.get("namespace") or default_namespace}
    chart = {key: inputs.get(key, "") for key in ("chart", "version")}
    status = {**place, **chart, "status": "deployed", "revision": 1}
    outputs = {**inputs, **place, "status": status, "resourceNames": {}}
    identifier = "" if request.preview else f"{place['namespace']}/{name}"
    return provider_pb2.CreateResponse(id=identifier, properties=struct(outputs))


def record_chart(request):
    """The answer to Construct: a component without children."""
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
