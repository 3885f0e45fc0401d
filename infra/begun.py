"""What a killed run had begun to create: looked for, and handed to the state.

Pulumi knows of it only that it was begun. Made once more, it would be refused for its
name, or be there twice and cost money unseen.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from infra.aws.begun import BegunInAws
from infra.kubernetes.api import Api, access, access_by
from infra.kubernetes.begun import BegunInCluster
from infra.kubernetes.config import Kubernetes
from infra.pending import begun, half_made, resources_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pulumi.automation import Deployment


def look_for(
    stack: str, state: Deployment, say: Callable[[str], None]
) -> list[tuple[str, dict[str, Any]]]:
    """What of a cut-off run is there, with IDs, once AWS has finished with it.

    Raises:
        Denied, Unreachable: AWS or the cluster does not say.
    """
    resources = resources_of(state)
    known = {resource["id"] for resource in resources if resource.get("id")}
    providers = {f"{r['urn']}::{r.get('id')}": r for r in resources}
    with contextlib.ExitStack() as opened:
        looking = functools.cache(
            lambda ref: _looking(stack, providers.get(ref), opened)
        )
        return list(_found(begun(state), known, looking, say))


def _found(
    begun: dict[str, dict[str, Any]],
    known: set[str],
    looking: Callable[[str], Any],
    say: Callable[[str], None],
) -> Iterator[tuple[str, dict[str, Any]]]:
    for words, resource in begun.items():
        place = looking(resource.get("provider", ""))
        kind, inputs = resource["type"], resource.get("inputs", {})
        ident = place.find(kind, inputs, known) if place else None
        if ident is None:
            say(f"a run was cut off while {words}: made anew")
            continue
        say(f"a run was cut off while {words}: {ident} is taken over if it is there")
        known.add(ident)
        usable = place.becomes_usable(kind, ident)
        yield ident, resource if usable else half_made(resource)


def _looking(
    stack: str, provider: dict[str, Any] | None, opened: contextlib.ExitStack
) -> BegunInAws | BegunInCluster | None:
    if provider is None:
        return None
    if provider["type"] == "pulumi:providers:aws":
        return BegunInAws(stack, provider)
    if provider["type"] == "pulumi:providers:kubernetes":
        api = opened.enter_context(Api(_access(provider["inputs"])))
        return BegunInCluster(stack, api)
    return None


def _access(inputs: dict[str, Any]) -> Any:  # noqa: ANN401 lightkube's SingleConfig
    text = inputs.get("kubeconfig")
    if text and text.startswith("{"):
        return access_by(text)
    return access(Kubernetes(kubeconfig=text, context=inputs.get("context")))
