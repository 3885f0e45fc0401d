"""IAM roles and the statements of their policies."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws
from pulumi import Output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from raylift.infra.aws.account import Account

_AWS_POLICIES = "arn:aws:iam::aws:policy/"
PODS = "pods.eks.amazonaws.com"


def role(
    account: Account,
    name: str,
    service: str,
    policies: Iterable[str] = (),
    *,
    condition: dict[str, Any] | None = None,
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """Create a role for an AWS service and attach policies, by ARN or AWS name.

    Returns the role and the attachments. Resources that use the role must depend on the
    attachments, because AWS needs them to create and delete those resources.
    """
    actions = ["sts:AssumeRole", *(["sts:TagSession"] if service == PODS else [])]
    trusts = allow(actions, principal=service, condition=condition)
    new = aws.iam.Role(
        name,
        assume_role_policy=document([trusts]),
        permissions_boundary=account.config.permissions_boundary,
        opts=account.options(),
    )
    attached: list[pulumi.Resource] = [
        attach(
            account,
            new,
            policy if policy.startswith("arn:") else _AWS_POLICIES + policy,
            name,
        )
        for policy in policies
    ]
    return new, attached


def attach(
    account: Account, to: aws.iam.Role, arn: str, name: str
) -> aws.iam.RolePolicyAttachment:
    """Attach a policy to a role."""
    return aws.iam.RolePolicyAttachment(
        f"{name}-{arn.rsplit('/', 1)[-1]}",
        role=to.name,
        policy_arn=arn,
        opts=account.options(),
    )


def pod_identity(
    account: Account,
    name: str,
    cluster: aws.eks.Cluster,
    service_account: tuple[str, str],
    statements: list[dict[str, Any]],
) -> pulumi.Resource:
    """Assign a role with a policy to pods of a service account (namespace, name)."""
    namespace, service_account_name = service_account
    pods, _ = role(account, name, PODS)
    policy = aws.iam.RolePolicy(
        name,
        role=pods.name,
        policy=Output.json_dumps(body(statements)),
        opts=account.options(),
    )
    return aws.eks.PodIdentityAssociation(
        name,
        cluster_name=cluster.name,
        namespace=namespace,
        service_account=service_account_name,
        role_arn=pods.arn,
        opts=account.options(depends_on=[policy]),
    )


def allow(
    actions: list[str],
    resources: list[Any] | None = None,
    *,
    principal: str = "",
    condition: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a statement that allows actions."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions}
    if resources:
        statement["Resource"] = resources
    if principal:
        statement["Principal"] = {"Service": principal}
    if condition:
        statement["Condition"] = condition
    return statement


def document(statements: list[dict[str, Any]]) -> str:
    """Return a policy as JSON text."""
    return json.dumps(body(statements))


def body(statements: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a policy as an object, for statements that contain outputs."""
    return {"Version": "2012-10-17", "Statement": statements}
