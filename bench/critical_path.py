"""`python -m bench critical-path [STACK]`: the critical path of the first `up`.

The graph contains the resources that the program registers for the stack file. It is
recorded in the same way as in the tests; no resource is created. Durations are
estimates in minutes: the midpoint of the values reported for each type of resource. The
path is therefore exact, but its duration is not.
"""

from __future__ import annotations

import sys
from graphlib import TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "infra"))

from recording import record  # noqa: E402 the recorder from the tests

from raylift.infra.config.loader import load_stack_file  # noqa: E402

if TYPE_CHECKING:
    from recording import Recorded, Resource

# Minutes to create a resource, by the suffix of its type. Any other resource takes one
# API call.
CALL = 0.05
MINUTES = {
    "eks/cluster:Cluster": 15.0,  # 13 to 17, as published for 21 regions
    "elasticache/replicationGroup:ReplicationGroup": 12.0,  # 10 to 15
    "eks/nodeGroup:NodeGroup": 3.0,  # 2 to 4, if capacity is available
    "ec2/natGateway:NatGateway": 2.0,  # 1.5 to 2
    "ec2/vpcEndpoint:VpcEndpoint": 0.5,
    "ec2/vpc:Vpc": 0.2,
    "ec2/internetGateway:InternetGateway": 0.2,
    "eks/addon:Addon": 0.75,
    "helm.sh/v3:Release": 1.0,  # pulling an operator's image and becoming ready
    "iam/role:Role": 0.2,
}
# After `up`: the head's pod pulls its image, and a worker starts on a new node.
AFTER = {
    "the head is ready": 1.0,
    "a GPU node joins": 2.5,
    "its image is pulled": 5.0,
    "a worker is ready": 0.5,
}


def minutes_of(resource: Resource) -> float:
    """Return the estimated minutes to create a resource."""
    estimates = [m for end, m in MINUTES.items() if resource.kind.endswith(end)]
    return estimates[0] if estimates else CALL


def ready_at(program: Recorded) -> dict[str, float]:
    """Return the minute at which each resource is ready, with full parallelism."""
    done: dict[str, float] = {}
    needs = {urn: resource.needs for urn, resource in program.resources.items()}
    for urn in TopologicalSorter(needs).static_order():
        began = max((done[need] for need in needs[urn]), default=0.0)
        done[urn] = began + minutes_of(program.resources[urn])
    return done


def critical_path(program: Recorded, last: Resource) -> list[tuple[Resource, float]]:
    """Return the chain of dependencies that delays `last`, with the minute of each."""
    done = ready_at(program)
    path = [last]
    while path[0].needs:
        latest = max(path[0].needs, key=lambda urn: done[urn])
        path.insert(0, program.resources[latest])
    return [(resource, done[resource.urn]) for resource in path]


def show(program: Recorded, stack: str) -> None:
    """Print the critical paths to the end of `up` and to the first request."""
    done = ready_at(program)
    last = program.resources[max(done, key=lambda urn: done[urn])]
    service = program.one("ray-service", "ray.io/v1:RayService")
    for title, end in (("up is done", last), ("the Ray service is created", service)):
        print(f"{stack}: {title} after {done[end.urn]:.1f} minutes")
        for resource, at in critical_path(program, end):
            took, kind = minutes_of(resource), resource.kind.rpartition(":")[2]
            if took > CALL:
                print(f"{at - took:7.1f} {took:+5.1f}  {kind} {resource.name}")
    at = done[service.urn]
    for what, took in AFTER.items():
        print(f"{at:7.1f} {took:+5.1f}  {what}")
        at += took
    print(f"{stack}: a first request on a GPU after {at:.1f} minutes")


def main(stack: str = "aws-dev") -> None:
    """Record the stack's program and show its path."""
    path = ROOT / "stacks" / f"Pulumi.{stack}.yaml"
    show(record(load_stack_file(path), stack=stack), stack)
