"""Whether the nodes of a cluster can hold a placement group; pure functions.

Only what Ray can never place is reported. Ray places a group bundle by bundle, so a
group that passes these checks may still have to wait.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from raylift.serve_runtime.status.capacity import fits, known, missing
from raylift.serve_runtime.status.label_selector import matches

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from raylift.serve_runtime.ray_api.dashboard import RayNode

    Resources = Mapping[str, float]

# More than any realistic group needs; beyond it, a group may be placeable.
_MAX_ATTEMPTS, _MAX_BUNDLES = 20_000, 200


class Bundle(NamedTuple):
    """The resources of a bundle, and the label selectors that its node must match."""

    needs: Resources
    selectors: Sequence[Mapping[str, str]] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Return whether a node with these labels matches all selectors."""
        return all(matches(selector, labels) for selector in self.selectors)


class _Node(NamedTuple):
    """A node that is running or, if `labels` is None, that an autoscaler can add."""

    has: Resources
    labels: Mapping[str, str] | None

    def admits(self, bundle: Bundle) -> bool:
        """Return whether the node could hold a bundle when it is empty."""
        if self.labels is None:
            # Ray detects some resources and labels only when a node starts.
            return fits(known(bundle.needs), self.has)
        return fits(bundle.needs, self.has) and bundle.selects(self.labels)


def unplaceable(
    bundles: Sequence[Bundle],
    strategy: str,
    nodes: Iterable[RayNode],
    potential: Iterable[RayNode],
) -> str:
    """Return why the bundles of one replica or gang never fit, or "" if they may.

    `strategy` is Ray's. `potential` holds the nodes that an autoscaler can add.
    """
    alive, potential = [node for node in nodes if node.alive], list(potential)
    if strategy == "STRICT_PACK":
        bundles = [_merged(bundles)]
    for bundle in bundles:
        chosen = [node for node in alive if bundle.selects(node.labels)]
        if not chosen and not potential and alive:
            return f"no node matches the label selector {_shown(bundle)}"
        if lack := missing(bundle.needs, chosen, potential):
            return _only_matching(lack, bundle)
    places = [_Node(node.resources, node.labels) for node in alive]
    places += [_Node(node.resources, None) for node in potential]
    if strategy == "STRICT_SPREAD":
        return _without_own_node(bundles, places)
    if lack := _beyond_total(bundles, places):
        return lack
    if strategy != "STRICT_PACK" and not _can_hold(bundles, places):
        return f"its {len(bundles)} bundles do not fit on the nodes at the same time"
    return ""


def total(bundles: Iterable[Resources]) -> dict[str, float]:
    """Return the sum of the resources of bundles, in Ray's resolution of 0.0001."""
    bundles = list(bundles)
    names = {name for bundle in bundles for name in bundle}
    return {
        name: round(sum(b.get(name, 0) for b in bundles), 4) for name in sorted(names)
    }


def _merged(bundles: Sequence[Bundle]) -> Bundle:
    """Return one bundle that stands for all, for a single node."""
    selectors = [selector for bundle in bundles for selector in bundle.selectors]
    return Bundle(total(bundle.needs for bundle in bundles), selectors)


def _shown(bundle: Bundle) -> str:
    conditions = [item for selector in bundle.selectors for item in selector.items()]
    return ", ".join(f"{key}: {value}" for key, value in dict.fromkeys(conditions))


def _only_matching(lack: str, bundle: Bundle) -> str:
    """Return the text of `missing` for the nodes that match a bundle's selectors."""
    selector = _shown(bundle)
    which = f"largest node that matches {selector} has"
    return lack.replace("largest node has", which) if selector else lack


def _beyond_total(bundles: Sequence[Bundle], places: Sequence[_Node]) -> str:
    has = total(place.has for place in places)
    detected = any(place.labels is None for place in places)
    needs = total(bundle.needs for bundle in bundles)
    for name, amount in (known(needs) if detected else needs).items():
        if amount > has.get(name, 0):
            return (
                f"its bundles need {amount:g} {name}, but all nodes together have"
                f" {has.get(name, 0):g}"
            )
    return ""


def _without_own_node(bundles: Sequence[Bundle], places: Sequence[_Node]) -> str:
    """Assign a node to each bundle by augmenting paths."""
    able = [
        [index for index, place in enumerate(places) if place.admits(bundle)]
        for bundle in bundles
    ]
    holder: dict[int, int] = {}

    def assign(bundle: int, seen: set[int]) -> bool:
        for node in able[bundle]:
            if node not in seen:
                seen.add(node)
                if node not in holder or assign(holder[node], seen):
                    holder[node] = bundle
                    return True
        return False

    placed = sum(assign(index, set()) for index in range(len(bundles)))
    if placed == len(bundles):
        return ""
    return (
        f"STRICT_SPREAD needs {len(bundles)} nodes, but only {placed} can hold a bundle"
    )


def _can_hold(bundles: Sequence[Bundle], places: list[_Node]) -> bool:
    """Return whether some assignment of all bundles to nodes fits, or may fit."""
    if len(bundles) > _MAX_BUNDLES:
        return True
    largest_first = sorted(bundles, key=lambda b: -sum(b.needs.values()))
    attempts = 0

    def place(index: int, free: list[_Node]) -> bool:
        nonlocal attempts
        if index == len(largest_first):
            return True
        bundle = largest_first[index]
        tried: list[_Node] = []
        for number, node in enumerate(free):
            if node in tried or not node.admits(bundle):
                continue
            tried.append(node)
            attempts += 1
            if attempts > _MAX_ATTEMPTS:
                return True
            left = node._replace(has=_without(node.has, bundle.needs))
            if place(index + 1, [*free[:number], left, *free[number + 1 :]]):
                return True
        return False

    return place(0, places)


def _without(has: Resources, needs: Resources) -> dict[str, float]:
    return {name: round(has[name] - needs.get(name, 0), 4) for name in has}
