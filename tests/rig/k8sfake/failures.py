"""What the provider says when an object cannot be had, in the real one's words."""

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
    """Why an object could not be created."""
    if isinstance(error, NoMatch):
        return NO_KIND.format(what="creation", urn=urn, error=error)
    exists = EXISTS if error.reason == "AlreadyExists" else ""
    return NOT_CREATED.format(urn=urn, error=error) + exists


def is_passing(error):
    """Whether what a preview runs into may be gone when the update comes to it."""
    passing = error.reason in {"AlreadyExists", "Forbidden"}
    return passing or error.kind == "namespaces"


def fail(context, message):
    """Ends a call of the engine with this message."""
    context.abort(grpc.StatusCode.UNKNOWN, message)


def fail_partly(context, urn, error, live, properties):
    """Fails so that the engine keeps the object, as one that is not initialized."""
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
    """A field manager's name, as the provider makes one for each object."""
    return f"pulumi-kubernetes-{secrets.token_hex(4)}"
