"""`raylift traffic`: other weights for a splitter, as a plan like any deploy's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.errors import InputFailed
from raylift.model import refuse, validate
from raylift.wording import did_you_mean
from serve_runtime.plan import plan
from serve_runtime.prepare import Prepared, refuse_bad_arms, running
from serve_runtime.traffic.documents import is_splitter, split_of, with_split
from serve_runtime.traffic.split import Split

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serve_runtime.cluster import Cluster


def prepare_shift(
    cluster: Cluster, name: str, weights: Mapping[str, float]
) -> Prepared:
    """The splitter with these weights; arms that are not named keep theirs.

    Raises:
        InputFailed: no such splitter or arm, or weights that cannot be.
    """
    base = cluster.desired()
    # Ray is asked only for what raylift did not write: the answer takes a while.
    there = base.applications
    if not {name, *weights} <= there.keys():
        there = running(base, cluster.dashboard.serve_details())
    old = splitter(name, there)
    arms = {**old.arms, **weights}
    _, problems = validate(Split, {"arms": arms}, place=lambda _: "command line")
    refuse(problems)
    wanted = {name: with_split(there[name], arms=arms)}
    decided = plan(wanted, there)
    refuse_bad_arms(decided, there)
    return Prepared(decided, wanted, there, base, {})


def splitter(name: str, there: Mapping[str, dict[str, Any]]) -> Split:
    """How a splitter splits that runs.

    Raises:
        InputFailed: there is none of this name; those that are there are named.
    """
    splits = {key: split_of(document) for key, document in there.items()}
    found = {key: split for key, split in splits.items() if split}
    if name in found:
        return found[name]
    if name in there and not is_splitter(there[name]):
        wrong = f"'{name}' is no splitter"
    else:
        wrong = f"no application '{name}'{did_you_mean(name, found)}"
    known = f"splitters: {', '.join(sorted(found)) or 'none'}"
    raise InputFailed.at("", wrong, hint=known)
