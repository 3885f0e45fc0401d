"""What a killed run had begun: looked for where it would be.

Of what it was creating, Pulumi knows only that it was begun. Made once more, it would
be refused for its name, or be there twice and cost money unseen.
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from infra.aws.begun import BegunInAws
from infra.kubernetes.begun import CHART, BegunInCluster
from infra.pending import begun, half_made, resources_of, unsure
from raylift.kubernetes import Api, access, access_by

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    _Place = BegunInAws | BegunInCluster | None

    from pulumi.automation import Deployment


def look_for(
    stack: str, state: Deployment, say: Callable[[str], None]
) -> list[tuple[str, dict[str, Any]]]:
    """What of a cut-off run is there, with IDs, once AWS has finished with it.

    Raises:
        Denied, Unreachable: AWS or the cluster does not say.
    """
    known = {each["id"] for each in resources_of(state) if each.get("id")}
    with _places(stack, state) as place_of:
        return list(_found(begun(state), known, place_of, say))


def free(stack: str, state: Deployment) -> None:
    """Let the charts be changed once more whose change was cut off.

    Raises:
        Denied, Unreachable: the cluster does not let that be done.
    """
    charts = [each for each in unsure(state) if each["type"] == CHART]
    with _places(stack, state) as place_of:
        for chart in charts:
            if isinstance(place := place_of(chart), BegunInCluster):
                place.free(chart["inputs"])


@contextlib.contextmanager
def _places(
    stack: str, state: Deployment
) -> Iterator[Callable[[dict[str, Any]], _Place]]:
    """Where a resource is, by its provider; each is asked for its access once."""
    providers = {f"{r['urn']}::{r.get('id')}": r for r in resources_of(state)}
    with contextlib.ExitStack() as opened:
        place = functools.cache(lambda ref: _place(stack, providers.get(ref), opened))
        yield lambda resource: place(resource.get("provider", ""))


def _found(
    begun: dict[str, dict[str, Any]],
    known: set[str],
    place_of: Callable[[dict[str, Any]], _Place],
    say: Callable[[str], None],
) -> Iterator[tuple[str, dict[str, Any]]]:
    for words, resource in begun.items():
        place = place_of(resource)
        kind, inputs = resource["type"], resource.get("inputs", {})
        ident = place.find(kind, inputs, known) if place else None
        if place is None or ident is None:
            say(f"a run was cut off while {words}: made anew")
            continue
        say(f"a run was cut off while {words}: {ident} is taken over if it is there")
        known.add(ident)
        usable = place.becomes_usable(kind, ident)
        yield ident, resource if usable else half_made(resource)


def _place(
    stack: str, provider: dict[str, Any] | None, opened: contextlib.ExitStack
) -> _Place:
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
    return access(text, inputs.get("context"))
