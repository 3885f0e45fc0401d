"""The outputs of a stack on Kubernetes."""

from __future__ import annotations

import pytest

from raylift.errors import FailedPrecondition
from raylift.outputs import KubernetesOutputs

HANDED = {
    "version": 1,
    "stack": "demo",
    "project": "shop",
    "target": "aws",
    "cluster": "arn:aws:eks:us-west-2:123456789012:cluster/demo",
    "namespace": "ray",
    "rayVersion": "2.60.0",
    "serveService": "demo-serve",
    "kubeconfig": "{}",
    "packages": "s3://packages",
}


def test_outputs_are_read_and_the_way_in_is_not_shown():
    outputs = KubernetesOutputs.of(HANDED | {"kubeconfig": "s3cr3t"})
    assert (outputs.stack, outputs.serve_service) == ("demo", "demo-serve")
    assert "s3cr3t" not in repr(outputs)


@pytest.mark.parametrize("missing", ["stack", "cluster", "rayVersion"])
def test_outputs_of_another_version_are_told_of(missing):
    handed = {key: value for key, value in HANDED.items() if key != missing}
    with pytest.raises(
        FailedPrecondition, match=f"no output '{missing}': it was created"
    ):
        KubernetesOutputs.of(handed)
