"""The responses to the engine's calls that check and compare inputs."""

from __future__ import annotations

import importlib
import importlib.metadata

from fakelib import plugin, shapes
from fakelib.plugin import UNKNOWN, revealed
from pulumi.runtime.proto import provider_pb2

from . import objects
from .settings import active_cluster

VERSION = importlib.metadata.version("pulumi_kubernetes")
CLUSTER = ("kubeconfig", "context", "cluster")
MUTABLE = {
    ("v1", "ConfigMap"): "enableConfigMapMutable",
    ("v1", "Secret"): "enableSecretMutable",
}


def input_class(token):
    """Return the class of a type's inputs, or None for a custom resource.

    For kubernetes:core/v1:Pod, it is pulumi_kubernetes.core.v1.PodInitArgs.
    """
    _, module, name = token.split(":")
    group, _, version = module.partition("/")
    try:
        sdk = importlib.import_module(
            f"pulumi_kubernetes.{group.split('.')[0]}.{version}"
        )
    except ImportError:
        return None
    return getattr(sdk, name + "InitArgs", None) or getattr(sdk, name + "Args", None)


def misspelt(urn, inputs):
    """Return failures for unknown and missing properties of the SDK's class."""
    cls = input_class(plugin.type_of(urn))
    wrong = shapes.check(cls, revealed(inputs)) if cls else ()
    return [
        provider_pb2.CheckFailure(
            property=name, reason=f"{reason} (pulumi_kubernetes {VERSION})"
        )
        for name, reason in wrong
    ]


def of_provider(old, new):
    """Return the provider's diff; another active cluster replaces all its resources."""
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    moved = UNKNOWN in new.values() or active_cluster(old) != active_cluster(new)
    replaces = [key for key in changed if moved and key in CLUSTER]
    return _response(dict.fromkeys(changed, "UPDATE"), replaces)


def of_object(old, new, ignored, flags):
    """Return the diff of an object's inputs, and which of them replace the object."""
    changes = {
        path: kind
        for path, kind in objects.differences(old, new).items()
        if not objects.is_under(path, ignored)
    }
    replaces = [path for path in changes if objects.is_under(path, _fixed(new, flags))]
    in_place = objects.is_same_place(old, new)
    return _response(changes, replaces, in_place=in_place)


def _fixed(inputs, flags):
    kind = inputs.get("apiVersion"), inputs.get("kind")
    mutable = flags.get(MUTABLE.get(kind))
    return objects.IDENTITY + (() if mutable else objects.FORCE_NEW.get(kind, ()))


def _response(changes, replaces, *, in_place=False):
    what, answer = provider_pb2.PropertyDiff, provider_pb2.DiffResponse
    kinds = {
        path: what.Kind.Value(kind + ("_REPLACE" if path in replaces else ""))
        for path, kind in changes.items()
    }
    return answer(
        changes=answer.DIFF_SOME if changes else answer.DIFF_NONE,
        replaces=replaces,
        deleteBeforeReplace=bool(replaces) and in_place,
        hasDetailedDiff=True,
        detailedDiff={
            path: what(kind=kind, inputDiff=True) for path, kind in kinds.items()
        },
    )
