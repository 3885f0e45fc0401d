"""What the first `up` waits for, as the bench computes it from the same graph."""

from __future__ import annotations

from itertools import pairwise

import pytest
from shipped import recorded

from bench.critical_path import critical_path, minutes_of, ready_at, show


@pytest.mark.parametrize("name", ["aws-dev", "aws-prod"])
def test_the_longest_chain_is_the_control_plane_and_the_nodes_on_it(name):
    program = recorded(name)
    done = ready_at(program)
    last = program.resources[max(done, key=done.get)]
    path = [resource for resource, _ in critical_path(program, last)]
    long = [r.kind.rpartition(":")[2] for r in path if minutes_of(r) >= 1]
    assert long == ["Cluster", "NodeGroup", "NodeGroup"]


def test_each_step_of_a_path_begins_when_the_one_before_it_ends():
    program = recorded("aws-dev")
    steps = critical_path(program, program.one("ray-service", "v1:RayService"))
    for (_, before), (resource, at) in pairwise(steps):
        assert at == pytest.approx(before + minutes_of(resource))


def test_the_path_is_printed_with_what_follows_up(capsys):
    show(recorded("aws-dev"), "aws-dev")
    told = capsys.readouterr().out
    assert "Cluster cluster" in told
    assert "NatGateway" not in told
    assert "a first request on a GPU after" in told
