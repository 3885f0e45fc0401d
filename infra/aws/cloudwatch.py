"""CloudWatch log groups of a stack, and the flow logs of its VPC."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi_aws as aws
from pulumi import Output

from raylift.infra.aws.iam import allow, body, role

if TYPE_CHECKING:
    from raylift.infra.aws.account import Account
    from raylift.infra.aws.network import Network

_AGGREGATED_SECONDS = 600  # the longest interval, with the fewest records
# EKS writes to the first, by name; the key policy of the stack names both.
_NAMES = {"control-plane-logs": "/aws/eks/{}/cluster", "flow-logs": "/aws/vpc/{}"}

_WRITES = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]


def group_arns(account: Account) -> list[str]:
    """Return the ARNs of the log groups before they are created."""
    names = [name.format(account.stack) for name in _NAMES.values()]
    return [
        f"arn:aws:logs:{account.region}:{account.id}:log-group:{name}" for name in names
    ]


def log_group(account: Account, kind: str) -> aws.cloudwatch.LogGroup:
    """Create a log group. If AWS created it, it would outlive the stack."""
    return aws.cloudwatch.LogGroup(
        kind,
        name=_NAMES[kind].format(account.stack),
        retention_in_days=account.config.kubernetes.log_retention_days,
        kms_key_id=account.key,
        opts=account.options(),
    )


def flow_logs(account: Account, net: Network) -> None:
    """Record accepted and rejected connections in the VPC of the stack."""
    config = account.config.network
    if config.vpc_id or not config.flow_logs:
        return
    group = log_group(account, "flow-logs")
    writer, _ = role(
        account,
        "flow-logs",
        "vpc-flow-logs.amazonaws.com",
        condition=_from_this_account(account),
    )
    # Without permission to create the group; late records would recreate a deleted one.
    writes = aws.iam.RolePolicy(
        "flow-logs",
        role=writer.name,
        policy=Output.json_dumps(
            body(
                [
                    allow(["logs:DescribeLogGroups"], ["*"]),
                    allow(_WRITES, [Output.concat(group.arn, ":*")]),
                ]
            )
        ),
        opts=account.options(),
    )
    aws.ec2.FlowLog(
        "flow-logs",
        vpc_id=net.vpc_id,
        traffic_type="ALL",
        max_aggregation_interval=_AGGREGATED_SECONDS,
        log_destination=group.arn,
        iam_role_arn=writer.arn,
        opts=account.options(depends_on=[writes]),
    )


def _from_this_account(account: Account) -> dict[str, dict[str, str]]:
    """Return a condition that matches only flow logs of this account and region."""
    logs = f"arn:aws:ec2:{account.region}:{account.id}:vpc-flow-log/*"
    return {
        "StringEquals": {"aws:SourceAccount": account.id},
        "ArnLike": {"aws:SourceArn": logs},
    }
