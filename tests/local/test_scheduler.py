"""The check of placement groups, compared with Ray's own scheduler.

Each case uses separate resource names on the same three nodes, so that one cluster
represents hundreds.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random

import pytest
from project import COMMAND_SECONDS, make_project, running

from raylift.serve_runtime.ray_api.dashboard import RayNode
from raylift.serve_runtime.status.placement import Bundle, unplaceable

pytestmark = pytest.mark.ray

CASES = 300
ZONES = ("a", "b", "b")
STRATEGIES = ("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")
SELECTORS = ({}, {}, {"zone": "a"}, {"zone": "!a"}, {"zone": "in(b, c)"}, {"zone": "c"})
# Creates all groups, and answers with the states that Ray's scheduler gave them when
# none has changed for a while.
GROUPS = """
import asyncio

from ray import serve
from ray.util import placement_group, placement_group_table


@serve.deployment(ray_actor_options={"num_cpus": 0})
class Groups:
    async def __call__(self, request):
        groups = [placement_group(**group) for group in await request.json()]
        states, unchanged = [], 0
        while unchanged < 20:
            await asyncio.sleep(1)
            table = placement_group_table()
            now = [table[group.id.hex()]["state"] for group in groups]
            unchanged = unchanged + 1 if now == states else 0
            states = now
        return states


app = Groups.bind()
"""


def _amounts(draw, case, values):
    return {f"{kind}{case}": draw.choice(values) for kind in "xy"}


def _case(draw, case):
    """Return the resources of each node and the placement group of a case."""
    nodes = [_amounts(draw, case, (0, 1, 2, 3, 4)) for _ in ZONES]
    bundles = [
        _amounts(draw, case, (0, 0.5, 1, 2, 3)) | {f"x{case}": draw.choice((0.5, 1, 2))}
        for _ in range(draw.randint(1, 4))
    ]
    selectors = [draw.choice(SELECTORS) for _ in bundles]
    strategy = draw.choice(STRATEGIES)
    return nodes, {
        "bundles": [{k: v for k, v in needs.items() if v} for needs in bundles],
        "strategy": strategy,
        "bundle_label_selector": selectors,
    }


def _config(cases):
    groups = [
        {
            "name": f"n{index}",
            "labels": {"zone": zone},
            "resources": {
                name: amount
                for nodes, _ in cases
                for name, amount in nodes[index].items()
                if amount
            },
        }
        for index, zone in enumerate(ZONES)
    ]
    return f"raylift:target: local\nraylift:nodeGroups: {json.dumps(groups)}"


def _states(stack, groups):
    port = stack.ports["serve"]
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", port, timeout=COMMAND_SECONDS)
    ) as connection:
        connection.request("POST", "/groups", json.dumps(groups))
        return json.loads(connection.getresponse().read())


def _is_refused(nodes, group):
    selectors = group["bundle_label_selector"]
    bundles = [
        Bundle(needs, [selector])
        for needs, selector in zip(group["bundles"], selectors, strict=True)
    ]
    alive = [
        RayNode(zone, is_head=False, alive=True, resources=has, labels={"zone": zone})
        for zone, has in zip(ZONES, nodes, strict=True)
    ]
    return bool(unplaceable(bundles, group["strategy"], alive, []))


@pytest.mark.long
def test_what_is_refused_is_what_ray_never_places(tmp_path):
    draw = random.Random(12)
    cases = [_case(draw, number) for number in range(CASES)]
    project = make_project(tmp_path, config=_config(cases))
    with running(project) as stack:
        stack.write("groups.py", GROUPS)
        stack.run("deploy", "groups:app", "--route-prefix", "/groups")
        states = _states(stack, [group for _, group in cases])
    outcomes = [
        (_is_refused(nodes, group), state == "CREATED", nodes, group)
        for (nodes, group), state in zip(cases, states, strict=True)
    ]
    refused = [outcome for outcome in outcomes if outcome[0]]
    assert len(refused) > CASES / 4
    assert [outcome for outcome in refused if outcome[1]] == []
    # Ray assigns bundles one by one, and gives up on some groups that would fit.
    waiting = [outcome for outcome in outcomes if not (outcome[0] or outcome[1])]
    assert len(waiting) < CASES / 10
