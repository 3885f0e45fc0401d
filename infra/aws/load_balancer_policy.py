"""IAM policy of the AWS Load Balancer Controller.

load_balancer_policy.json is based on the policy that AWS publishes for the controller
(https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/installation):
the controller may read resources, create load balancers with the tag of a cluster, and
change only resources with that tag. Statements about listeners, rules, certificates and
security groups name specific resources. The published policy allows changes to the
rules of every security group; this one covers only the controller's groups and the
group that EKS creates for the nodes and pods of the cluster.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def load_balancer_policy(cluster: str) -> list[dict[str, Any]]:
    """Return the statements of the policy, restricted to one cluster."""
    file = resources.files("raylift.infra.aws").joinpath("load_balancer_policy.json")
    policy = json.loads(file.read_text(encoding="utf-8").replace("<cluster>", cluster))
    statements: list[dict[str, Any]] = policy["Statement"]
    return statements
