"""CloudWatch log groups of a stack, and what flows through a VPC of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi_aws as aws
from pulumi import Output

from infra.aws.identity import allow, body, role

if TYPE_CHECKING:
    from infra.aws.account import Account
    from infra.aws.network import Network

_AGGREGATED_SECONDS = 600  # the longest that there is, and the fewest records
# EKS writes to the first by its name; both stand in the policy of the stack's key.
_NAMES = {"control-plane-logs": "/aws/eks/{}/cluster", "flow-logs": "/aws/vpc/{}"}

_WRITES = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]


def group_arns(here: Account) -> list[str]:
    """The ARNs of all groups, before they are made."""
    names = [name.format(here.stack) for name in _NAMES.values()]
    return [f"arn:aws:logs:{here.region}:{here.id}:log-group:{name}" for name in names]


def log_group(here: Account, kind: str) -> aws.cloudwatch.LogGroup:
    """A group that goes with the stack; one that AWS makes stays for ever."""
    return aws.cloudwatch.LogGroup(
        kind,
        name=_NAMES[kind].format(here.stack),
        retention_in_days=here.config.kubernetes.log_retention_days,
        kms_key_id=here.key,
        opts=here.options(),
    )


def flow_logs(here: Account, net: Network) -> None:
    """Who connected to whom in the stack's own VPC, and what was refused."""
    wanted = here.config.network
    if wanted.vpc_id or not wanted.flow_logs:
        return
    group = log_group(here, "flow-logs")
    itself, _ = role(
        here, "flow-logs", "vpc-flow-logs.amazonaws.com", condition=_of_ours(here)
    )
    # Not to make the group: what is late would make it anew after a delete.
    writes = aws.iam.RolePolicy(
        "flow-logs",
        role=itself.name,
        policy=Output.json_dumps(
            body(
                [
                    allow(["logs:DescribeLogGroups"], ["*"]),
                    allow(_WRITES, [Output.concat(group.arn, ":*")]),
                ]
            )
        ),
        opts=here.options(),
    )
    aws.ec2.FlowLog(
        "flow-logs",
        vpc_id=net.vpc_id,
        traffic_type="ALL",
        max_aggregation_interval=_AGGREGATED_SECONDS,
        log_destination=group.arn,
        iam_role_arn=itself.arn,
        opts=here.options(depends_on=[writes]),
    )


def _of_ours(here: Account) -> dict[str, dict[str, str]]:
    """Flow logs of this account and region alone, so that no other's comes as ours."""
    ours = f"arn:aws:ec2:{here.region}:{here.id}:vpc-flow-log/*"
    return {
        "StringEquals": {"aws:SourceAccount": here.id},
        "ArnLike": {"aws:SourceArn": ours},
    }
