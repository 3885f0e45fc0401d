"""What Ray places together for a deployment, from its config and its code."""

from __future__ import annotations

import pytest

from raylift.serve_runtime.deploy.replica_needs import group, needs
from raylift.serve_runtime.status.placement import Bundle

ZONE = {"zone": "a"}
CASES = {
    "nothing": ({}, {}, [Bundle({"CPU": 1}, [{}])], "PACK"),
    "options in the code": (
        {},
        {"ray_actor_options": {"num_cpus": 2, "label_selector": ZONE}},
        [Bundle({"CPU": 2}, [ZONE])],
        "PACK",
    ),
    "options in the config": (
        {"ray_actor_options": {"num_gpus": 1}},
        {"ray_actor_options": {"num_cpus": 2, "label_selector": ZONE}},
        [Bundle({"CPU": 1, "GPU": 1}, [{}])],
        "PACK",
    ),
    "bundles": (
        {"placement_group_strategy": "STRICT_SPREAD"},
        {"placement_group_bundles": [{"CPU": 1}, {"GPU": 1}]},
        [Bundle({"CPU": 1}, [{}]), Bundle({"GPU": 1}, [{}])],
        "STRICT_SPREAD",
    ),
    "one selector for all bundles": (
        {
            "placement_group_bundles": [{"CPU": 1}] * 2,
            "placement_group_bundle_label_selector": [ZONE],
        },
        {},
        [Bundle({"CPU": 1}, [ZONE])] * 2,
        "PACK",
    ),
    "a gang": (
        {"gang_scheduling_config": {"gang_size": 3}},
        {"ray_actor_options": {"num_cpus": 2}},
        [Bundle({"CPU": 2}, [{}])] * 3,
        "PACK",
    ),
    "a gang of bundles": (
        {
            "gang_scheduling_config": {
                "gang_size": 2,
                "gang_placement_strategy": "SPREAD",
            },
            "placement_group_bundles": [{"CPU": 1}, {"GPU": 1}],
        },
        {},
        [Bundle({"CPU": 1}, [{}]), Bundle({"GPU": 1}, [{}])] * 2,
        "SPREAD",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_bundles_are_those_that_ray_places(name):
    override, in_code, bundles, strategy = CASES[name]
    assert group(override, in_code, complete=True) == (bundles, strategy)


@pytest.mark.parametrize(
    ("override", "in_code"),
    [
        ({}, {"**": None}),
        ({}, {"ray_actor_options": "x"}),
        ({}, {"ray_actor_options": {"num_cpus": "many"}}),
        ({}, {"ray_actor_options": {"label_selector": {"zone": 1}}}),
        ({}, {"gang_scheduling_config": {"gang_placement_strategy": "PACK"}}),
        ({}, {"gang_scheduling_config": {"gang_size": "2"}}),
        ({}, {"placement_group_bundles": [None]}),
        (
            {"placement_group_bundles": [{"CPU": 1}] * 3},
            {"placement_group_bundle_label_selector": [ZONE, ZONE]},
        ),
        ({}, {"ray_actor_options": None}),
        ({}, {"placement_group_bundles": None}),
        ({}, {"gang_scheduling_config": None}),
        ({"ray_actor_options": {"fallback_strategy": [{"label_selector": ZONE}]}}, {}),
        ({"autoscaling_config": {"min_replicas": 0, "max_replicas": 2}}, {}),
        ({"autoscaling_config": {"initial_replicas": 0, "min_replicas": 0}}, {}),
    ],
)
def test_what_the_code_does_not_show_is_unknown(override, in_code):
    assert group(override, in_code, complete=True) is None


def test_options_in_code_that_cannot_be_read_are_unknown():
    gang = {"gang_scheduling_config": {"gang_size": 8}}
    assert group(gang, {}, complete=False) is None
    known = gang | {"ray_actor_options": {"num_cpus": 2}}
    assert group(known, {}, complete=False) == ([Bundle({"CPU": 2}, [{}])] * 8, "PACK")


def test_an_accelerator_is_a_resource_of_its_type():
    options = {"num_gpus": 1, "accelerator_type": "L4"}
    assert needs({"ray_actor_options": options}, {}) == {
        "CPU": 1,
        "GPU": 1,
        "accelerator_type:L4": 0.001,
    }
