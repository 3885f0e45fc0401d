"""Placement groups: what fits is never refused, and what can never fit is."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raylift.serve_runtime.ray_api.dashboard import RayNode
from raylift.serve_runtime.status.label_selector import matches
from raylift.serve_runtime.status.placement import Bundle, total, unplaceable


def _nodes(*sizes):
    return [
        RayNode(str(index), is_head=False, alive=True, resources=size, labels={})
        for index, size in enumerate(sizes)
    ]


def _refusal(bundles, strategy, nodes, potential=()):
    return unplaceable([Bundle(needs) for needs in bundles], strategy, nodes, potential)


CASES = {
    "six bundles over three nodes": ([{"CPU": 1}] * 6, "PACK", ""),
    "a bundle that fits no node": (
        [{"CPU": 5}],
        "PACK",
        "needs 5 CPU, but the largest node has 4",
    ),
    "one node for all": (
        [{"CPU": 1}] * 6,
        "STRICT_PACK",
        "needs 6 CPU, but the largest node has 4",
    ),
    "a node for each": ([{"CPU": 3}] * 3, "STRICT_SPREAD", ""),
    "more bundles than nodes": (
        [{"CPU": 1}] * 4,
        "STRICT_SPREAD",
        "STRICT_SPREAD needs 4 nodes, but only 3 can hold a bundle",
    ),
    "two bundles for the only large node": (
        [{"CPU": 4}] * 2,
        "STRICT_SPREAD",
        "STRICT_SPREAD needs 2 nodes, but only 1 can hold a bundle",
    ),
    "more than all nodes have": (
        [{"CPU": 1}] * 11,
        "SPREAD",
        "its bundles need 11 CPU, but all nodes together have 10",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_ray_never_places_is_reported(name):
    bundles, strategy, expected = CASES[name]
    nodes = _nodes({"CPU": 4}, {"CPU": 3}, {"CPU": 3})
    assert _refusal(bundles, strategy, nodes) == expected


@pytest.mark.parametrize(
    ("conditions", "holds"),
    [
        ({"zone": "a"}, True),
        ({"zone": "b"}, False),
        ({"zone": "!b"}, True),
        ({"zone": "in(b, a)"}, True),
        ({"zone": "in(b,c)"}, False),
        ({"zone": "!in(b, c)"}, True),
        ({"zone": "a", "gpu": "!L4"}, True),
        ({"zone": "a", "gpu": "L4"}, False),
    ],
)
def test_a_label_selector_is_read_as_ray_reads_it(conditions, holds):
    assert matches(conditions, {"zone": "a"}) is holds


def test_a_label_that_no_node_has_is_reported():
    (node,) = _nodes({"CPU": 4})
    bundle = Bundle({"CPU": 1}, [{"zone": "b"}])
    expected = "no node matches the label selector zone: b"
    assert unplaceable([bundle], "PACK", [node], []) == expected
    # The labels of a node are known only when it runs.
    assert unplaceable([bundle], "PACK", [node], [node]) == ""


def test_the_largest_node_is_one_that_matches_the_selector():
    (small,), (large,) = _nodes({"CPU": 1}), _nodes({"CPU": 8})
    small.labels["zone"], large.labels["zone"] = "a", "b"
    bundle = Bundle({"CPU": 2}, [{"zone": "a"}])
    expected = "needs 2 CPU, but the largest node that matches zone: a has 1"
    assert unplaceable([bundle], "PACK", [small, large], []) == expected


def test_a_gang_of_any_size_is_judged_at_once():
    nodes = _nodes(*[{"CPU": 4}] * 50)
    assert _refusal([{}] * 5000, "PACK", nodes) == ""
    assert _refusal([{"CPU": 0.001}] * 5000, "SPREAD", nodes) == ""


def test_two_selectors_that_no_node_matches_together_are_reported():
    (one,), (other,) = _nodes({"CPU": 4}), _nodes({"CPU": 4})
    one.labels["zone"], other.labels["zone"] = "a", "b"
    bundles = [Bundle({"CPU": 1}, [{"zone": zone}]) for zone in ("a", "b")]
    assert unplaceable(bundles, "PACK", [one, other], []) == ""
    assert "zone: a, zone: b" in unplaceable(bundles, "STRICT_PACK", [one, other], [])


def test_nodes_that_an_autoscaler_can_add_count():
    one, more = _nodes({"CPU": 3}), _nodes({"CPU": 3}, {"CPU": 3})
    assert _refusal([{"CPU": 2}] * 3, "STRICT_SPREAD", one, more) == ""
    assert _refusal([{"CPU": 2}] * 3, "STRICT_SPREAD", one, []) != ""


def test_what_ray_detects_when_a_node_starts_is_not_required_of_potential_nodes():
    bundle = {"GPU": 1, "accelerator_type:L4": 0.001}
    for strategy in ("PACK", "STRICT_PACK", "SPREAD", "STRICT_SPREAD"):
        assert _refusal([bundle], strategy, [], _nodes({"GPU": 1})) == ""
        assert _refusal([bundle], strategy, _nodes({"GPU": 1}), []) != ""


amounts = st.sampled_from([0, 1, 2, 3])
sizes = st.fixed_dictionaries({"CPU": amounts, "GPU": amounts})


def _is_placeable(bundles, strategy, nodes):
    """Try every assignment of bundles to nodes."""
    for chosen in itertools.product(range(len(nodes)), repeat=len(bundles)):
        used = {
            node: total(
                [b for b, at in zip(bundles, chosen, strict=True) if at == node]
            )
            for node in set(chosen)
        }
        allowed = {
            "STRICT_PACK": len(used) == 1,
            "STRICT_SPREAD": len(used) == len(bundles),
        }.get(strategy, True)
        if allowed and all(
            amount <= nodes[node][name]
            for node, needs in used.items()
            for name, amount in needs.items()
        ):
            return True
    return False


@given(
    st.lists(sizes, min_size=1, max_size=3),
    st.sampled_from(["PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD"]),
    st.lists(sizes, min_size=1, max_size=3),
)
def test_exactly_what_fits_nowhere_is_refused(bundles, strategy, nodes):
    refused = _refusal(bundles, strategy, _nodes(*nodes))
    assert bool(refused) != _is_placeable(bundles, strategy, nodes), refused
