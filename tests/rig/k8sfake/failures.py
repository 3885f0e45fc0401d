"""Errors of the provider, worded like those of the original."""

from __future__ import annotations

import secrets

import grpc
from pulumi.runtime.proto import provider_pb2, status_pb2

from . import objects
from .cluster import NoMatch

EXISTS = (
    " (it is there already: import it, alias it, patch it,"
    " or set upsertExistingObjects)"
)
CONFLICT = 'server-side apply conflict for field manager "{manager}": {error}'
UNREACHABLE = (
    "if the cluster is gone, set PULUMI_K8S_DELETE_UNREACHABLE=true"
    " to forget its objects"
)
NO_KIND = (
    '{what} of resource "{urn}" failed because the API server has no such kind;'
    " are its CRDs there? {error}"
)
NOT_CREATED = (
    'resource "{urn}" was not successfully created by the Kubernetes API server:'
    " {error}"
)
NOT_READY = (
    'resource "{urn}": the Kubernetes API server reported that it failed to'
    " initialize or become live: {error}"
)


def refusal(urn, error):
    """Return the message that says why an object could not be created."""
    if isinstance(error, NoMatch):
        return NO_KIND.format(what="creation", urn=urn, error=error)
    exists = EXISTS if error.reason == "AlreadyExists" else ""
    return NOT_CREATED.format(urn=urn, error=error) + exists


def is_passing(error):
    """Return whether an error in a preview may no longer occur in the update."""
    passing = error.reason in {"AlreadyExists", "Forbidden"}
    return passing or error.kind == "namespaces"


def fail(context, message):
    """Fail a call of the engine with this message."""
    context.abort(grpc.StatusCode.UNKNOWN, message)


def fail_partly(context, urn, error, live, properties):
    """Fail such that the engine records the object as not initialized."""
    message = NOT_READY.format(urn=urn, error=error)
    detail = provider_pb2.ErrorResourceInitFailed(
        id=objects.identifier(live), properties=properties, reasons=[message]
    )
    code = grpc.StatusCode.UNKNOWN.value[0]
    status = status_pb2.Status(code=code, message=message)
    status.details.add().Pack(detail)
    trailer = ("grpc-status-details-bin", status.SerializeToString())
    context.set_trailing_metadata((trailer,))
    fail(context, message)


def new_manager():
    """Return a new field manager's name; every object has a separate one."""
    return f"pulumi-kubernetes-{secrets.token_hex(4)}"
