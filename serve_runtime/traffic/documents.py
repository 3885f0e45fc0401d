"""Pure: splitters among the application documents of a cluster."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from raylift.errors import Conflict, InputFailed, Problem
from raylift.model import validate
from raylift.wording import did_you_mean, dotted
from serve_runtime.traffic.split import Split

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from raylift.document import Place

IMPORT_PATH = "serve_runtime.traffic.splitter:app"
DEPLOYMENT = "Splitter"


def is_splitter(document: Mapping[str, Any]) -> bool:
    """Whether an application is a splitter."""
    return document.get("import_path") == IMPORT_PATH


def problems(
    document: Mapping[str, Any], *, at: Place, place: Callable[[Place], str]
) -> list[Problem]:
    """What is wrong with a splitter of a Serve config at the path `at`."""
    deployments = document.get("deployments") or []
    for number, deployment in enumerate(deployments):
        if deployment["name"] != DEPLOYMENT:
            path = (*at, "deployments", number, "name")
            text = f"{dotted(path)}: a splitter has only '{DEPLOYMENT}'"
            return [Problem(place(path), text)]
    if not deployments or deployments[0].get("user_config") is None:
        path = (*at, "deployments")
        text = (
            f"{dotted(path)}: a splitter needs [{{name: {DEPLOYMENT}, user_config:"
            " {arms: {APP: WEIGHT}}}]"
        )
        return [Problem(place(path), text)]
    inside = (*at, "deployments", 0, "user_config")
    return validate(
        Split,
        deployments[0]["user_config"],
        place=lambda path: place((*inside, *path)),
        named=lambda path: dotted((*inside, *path)),
    )[1]


def split_of(document: Mapping[str, Any]) -> Split | None:
    """How a splitter splits; None for an application that is none."""
    if not is_splitter(document):
        return None
    for deployment in document.get("deployments") or []:
        model, _ = validate(Split, deployment.get("user_config"), place=lambda _: "")
        if model:
            return model
    return None


def with_split(document: dict[str, Any], **changed: object) -> dict[str, Any]:
    """A splitter's document with some keys of its `user_config` changed.

    A value of None takes the key away.
    """
    new = copy.deepcopy(document)
    for deployment in new["deployments"]:
        config = {**deployment["user_config"], **changed}
        deployment["user_config"] = {k: v for k, v in config.items() if v is not None}
    return new


def refuse_missing_arms(
    changed: Iterable[str], documents: Mapping[str, dict[str, Any]]
) -> None:
    """Every arm of the changed splitters must be an application with a route.

    Raises:
        InputFailed: with each arm that is not.
    """
    found = [
        Problem("", f"{name}: arm '{arm}' {wrong}")
        for name in changed
        if (split := split_of(documents.get(name, {})))
        for arm in [*split.arms, *split.mirror]
        if (wrong := _wrong_arm(arm, documents))
    ]
    if found:
        raise InputFailed(*found, hint="raylift status lists the applications")


def _wrong_arm(arm: str, documents: Mapping[str, dict[str, Any]]) -> str:
    document = documents.get(arm)
    if document is None:
        known = [name for name, other in documents.items() if not is_splitter(other)]
        return f"is no application of this cluster{did_you_mean(arm, known)}"
    if is_splitter(document):
        return "is a splitter itself"
    if document.get("route_prefix", "/") is None:
        return "has no route_prefix, so it cannot be reached over HTTP"
    return ""


def refuse_deleted_arms(
    gone: Iterable[str], documents: Mapping[str, dict[str, Any]]
) -> None:
    """An application must not go away while a splitter that stays sends it traffic."""
    gone = set(gone)
    staying = {name: doc for name, doc in documents.items() if name not in gone}
    for splitter, document in staying.items():
        split = split_of(document)
        if split and (arms := gone & _with_traffic(split)):
            raise Conflict(
                f"{min(arms)}: splitter '{splitter}' sends traffic to it",
                hint=_what_helps(arms, splitter, split, others=staying),
            )


def _what_helps(
    arms: set[str], splitter: str, split: Split, *, others: Collection[str]
) -> str:
    """What to do first, so that these arms can go and the others stay."""
    if split.lease:
        return "a canary shifts traffic: run the same command again after its end"
    if any(split.mirror.get(arm) for arm in arms):
        return f"deploy {splitter} without it in mirror, then delete it"
    left = {arm: weight for arm, weight in split.arms.items() if arm in others}
    if not left:
        return f"it has no other arm: give it one, or delete {splitter} as well"
    weights = dict.fromkeys(sorted(arms), 0)
    if not any(left.values()):
        weights[min(left)] = 1
    given = " ".join(f"{arm}={weight}" for arm, weight in weights.items())
    return f"raylift traffic {splitter} {given}, then delete it"


def _with_traffic(split: Split) -> set[str]:
    shares = (split.arms, split.mirror, split.lease.arms if split.lease else {})
    return {arm for share in shares for arm, amount in share.items() if amount > 0}
