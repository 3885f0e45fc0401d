"""Splitters in the application documents of a cluster; pure functions."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from raylift.errors import Conflict, InvalidInput, Problem
from raylift.key_path import dotted
from raylift.messages import did_you_mean
from raylift.serve_runtime.splitter.split import Split
from raylift.strict_model import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from raylift.key_path import KeyPath

IMPORT_PATH = "raylift.splitter:app"
DEPLOYMENT = "Splitter"
DEPLOY_SPLITTER = f"deploy one with import_path {IMPORT_PATH}; see the canary guide"


def is_splitter(document: Mapping[str, Any]) -> bool:
    """Return whether an application is a splitter."""
    return document.get("import_path") == IMPORT_PATH


def problems(
    document: Mapping[str, Any], *, at: KeyPath, location: Callable[[KeyPath], str]
) -> list[Problem]:
    """Return the problems of the splitter at the path `at` of a Serve config."""
    deployments = document.get("deployments") or []
    for number, deployment in enumerate(deployments):
        if deployment["name"] != DEPLOYMENT:
            path = (*at, "deployments", number, "name")
            text = f"{dotted(path)}: must be {DEPLOYMENT}, a splitter's only deployment"
            return [Problem(location(path), text)]
    if not deployments or deployments[0].get("user_config") is None:
        path = (*at, "deployments")
        text = (
            f"{dotted(path)}: a splitter requires [{{name: {DEPLOYMENT}, user_config:"
            " {arms: {APP: WEIGHT}}}]"
        )
        return [Problem(location(path), text)]
    inside = (*at, "deployments", 0, "user_config")
    return validate(
        Split,
        deployments[0]["user_config"],
        location=lambda path: location((*inside, *path)),
        named=lambda path: dotted((*inside, *path)),
    )[1]


def split_of(document: Mapping[str, Any]) -> Split | None:
    """Return the split of a splitter, or None for any other application."""
    if not is_splitter(document):
        return None
    for deployment in document.get("deployments") or []:
        model, _ = validate(Split, deployment.get("user_config"), location=lambda _: "")
        if model:
            return model
    return None


def arms_of(document: Mapping[str, Any]) -> list[str]:
    """Return the arms and mirrors of a splitter; none for another application."""
    split = split_of(document)
    return [*split.arms, *split.mirror] if split else []


def with_split(document: dict[str, Any], **changed: object) -> dict[str, Any]:
    """Return a splitter's document with changed keys in its `user_config`.

    A value of None removes the key.
    """
    new = copy.deepcopy(document)
    for deployment in new["deployments"]:
        config = {**deployment["user_config"], **changed}
        deployment["user_config"] = {k: v for k, v in config.items() if v is not None}
    return new


def refuse_missing_arms(
    changed: Iterable[str], documents: Mapping[str, dict[str, Any]]
) -> None:
    """Check that each arm of the changed splitters is an application with a route.

    Raises:
        InvalidInput: Contains a problem for each arm that is not.
    """
    problems = [
        Problem("", f"{name}: arm '{arm}' {reason}")
        for name in changed
        for arm in arms_of(documents.get(name, {}))
        if (reason := _problem_of_arm(arm, documents))
    ]
    if problems:
        raise InvalidInput(
            *problems, hint="run `raylift status` to list the applications"
        )


def refuse_grpc_arm(
    name: str, documents: Mapping[str, dict[str, Any]], *, location: str
) -> None:
    """Check that an application without HTTP is no arm of a splitter.

    Raises:
        InvalidInput: A splitter forwards to it, at the `location` of the application.
    """
    for splitter, document in documents.items():
        if name in arms_of(document):
            raise InvalidInput.at(
                location,
                f"{name}: can be reached only through gRPC, which splitter '{splitter}'"
                " does not forward",
            )


def _problem_of_arm(arm: str, documents: Mapping[str, dict[str, Any]]) -> str:
    document = documents.get(arm)
    if document is None:
        known = [name for name, other in documents.items() if not is_splitter(other)]
        return f"is not an application of this cluster{did_you_mean(arm, known)}"
    if is_splitter(document):
        return "is itself a splitter"
    if document.get("route_prefix", "/") is None:
        return "has no route_prefix, so HTTP requests cannot reach it"
    return ""


def refuse_deleted_arms(
    deleted: Iterable[str], documents: Mapping[str, dict[str, Any]]
) -> None:
    """Check that no remaining splitter sends traffic to a deleted application.

    Raises:
        Conflict: A splitter sends traffic to one.
    """
    deleted = set(deleted)
    remaining = {name: doc for name, doc in documents.items() if name not in deleted}
    for splitter, document in remaining.items():
        split = split_of(document)
        if split and (arms := deleted & _with_traffic(split)):
            raise Conflict(
                f"cannot delete '{min(arms)}': splitter '{splitter}' sends traffic to"
                " it",
                hint=_hint(arms, splitter, split, remaining=remaining),
            )


def _hint(
    arms: set[str], splitter: str, split: Split, *, remaining: Collection[str]
) -> str:
    """Return the step that makes these arms deletable."""
    if split.lease:
        return "run the same command again when the canary has ended"
    if any(split.mirror.get(arm) for arm in arms):
        return (
            f"remove it from the mirror key of splitter '{splitter}', deploy, then"
            " delete it"
        )
    left = {arm: weight for arm, weight in split.arms.items() if arm in remaining}
    if not left:
        return f"add another arm to '{splitter}', or delete '{splitter}' as well"
    weights = dict.fromkeys(sorted(arms), 0)
    if not any(left.values()):
        weights[min(left)] = 1
    text = " ".join(f"{arm}={weight}" for arm, weight in weights.items())
    return f"run `raylift traffic {splitter} {text}`, then delete it"


def _with_traffic(split: Split) -> set[str]:
    shares = (split.arms, split.mirror, split.lease.arms if split.lease else {})
    return {arm for share in shares for arm, amount in share.items() if amount > 0}
