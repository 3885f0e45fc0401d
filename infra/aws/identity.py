"""IAM roles: who may be one, and the little that each may do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws
from pulumi import Output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.aws.account import Account

_AWS_POLICIES = "arn:aws:iam::aws:policy/"
PODS = "pods.eks.amazonaws.com"


def role(
    here: Account,
    name: str,
    service: str,
    policies: Iterable[str] = (),
    *,
    condition: dict[str, Any] | None = None,
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """A role of an AWS service, and its attachments to AWS' own policies, by name.

    Whatever uses the role has to depend on the attachments: without them AWS can
    neither start nor clean up.
    """
    actions = ["sts:AssumeRole", *(["sts:TagSession"] if service == PODS else [])]
    trusts = allow(actions, principal=service, condition=condition)
    made = aws.iam.Role(
        name,
        assume_role_policy=document([trusts]),
        permissions_boundary=here.config.permissions_boundary,
        opts=here.options(),
    )
    attached: list[pulumi.Resource] = [
        attach(
            here,
            made,
            policy if policy.startswith("arn:") else _AWS_POLICIES + policy,
            name,
        )
        for policy in policies
    ]
    return made, attached


def attach(
    here: Account, to: aws.iam.Role, arn: str, name: str
) -> aws.iam.RolePolicyAttachment:
    """One policy for one role."""
    return aws.iam.RolePolicyAttachment(
        f"{name}-{arn.rsplit('/', 1)[-1]}",
        role=to.name,
        policy_arn=arn,
        opts=here.options(),
    )


def pod_identity(
    here: Account,
    name: str,
    cluster: aws.eks.Cluster,
    account: tuple[str, str],
    statements: list[dict[str, Any]],
) -> pulumi.Resource:
    """What pods of a service account (namespace, name) may do in AWS."""
    namespace, service_account = account
    made, _ = role(here, name, PODS)
    allowed = aws.iam.RolePolicy(
        name,
        role=made.name,
        policy=Output.json_dumps(body(statements)),
        opts=here.options(),
    )
    return aws.eks.PodIdentityAssociation(
        name,
        cluster_name=cluster.name,
        namespace=namespace,
        service_account=service_account,
        role_arn=made.arn,
        opts=here.options(depends_on=[allowed]),
    )


def allow(
    actions: list[str],
    resources: list[Any] | None = None,
    *,
    principal: str = "",
    condition: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """One statement of a policy."""
    statement: dict[str, Any] = {"Effect": "Allow", "Action": actions}
    if resources:
        statement["Resource"] = resources
    if principal:
        statement["Principal"] = {"Service": principal}
    if condition:
        statement["Condition"] = condition
    return statement


def document(statements: list[dict[str, Any]]) -> str:
    """A policy as IAM wants it."""
    return json.dumps(body(statements))


def body(statements: list[dict[str, Any]]) -> dict[str, Any]:
    """A policy, where something in it is known only later."""
    return {"Version": "2012-10-17", "Statement": statements}
