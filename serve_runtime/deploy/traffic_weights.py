"""New weights for a splitter, planned like a deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.errors import InvalidInput
from raylift.messages import did_you_mean
from raylift.serve_runtime.deploy.plan import plan
from raylift.serve_runtime.deploy.prepare import Prepared, refuse_bad_arms, running
from raylift.serve_runtime.serve_config.splitters import (
    DEPLOY_SPLITTER,
    split_of,
    with_split,
)
from raylift.serve_runtime.splitter.split import Split
from raylift.strict_model import refuse, validate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from raylift.serve_runtime.cluster.protocol import Cluster


def prepare_shift(
    cluster: Cluster, name: str, weights: Mapping[str, float]
) -> Prepared:
    """Plan new weights for a splitter; other arms keep theirs.

    Raises:
        InvalidInput: The splitter or an arm does not exist, or a weight is invalid.
    """
    base = cluster.desired()
    # A response from Ray is slow, and only needed for applications of other tools.
    current = base.applications
    if not {name, *weights} <= current.keys():
        current = running(base, cluster.dashboard.serve_details())
    arms = {**splitter(name, current).arms, **weights}
    _, problems = validate(Split, {"arms": arms}, location=lambda _: "command line")
    refuse(problems)
    desired = {name: with_split(current[name], arms=arms)}
    decided = plan(desired, current)
    refuse_bad_arms(decided, current)
    return Prepared(decided, desired, current, base, {})


def splitter(name: str, current: Mapping[str, dict[str, Any]]) -> Split:
    """Return the split of a running splitter.

    Raises:
        InvalidInput: The splitter does not exist; the hint lists the others.
    """
    all_splits = {key: split_of(document) for key, document in current.items()}
    splits = {key: split for key, split in all_splits.items() if split}
    if name in splits:
        return splits[name]
    if name in current:
        problem = f"'{name}' is not a splitter"
    else:
        problem = f"application '{name}' not found{did_you_mean(name, splits)}"
    known = ", ".join(sorted(splits))
    raise InvalidInput.at(
        "",
        problem,
        hint=f"use one of these splitters: {known}" if known else DEPLOY_SPLITTER,
    )
