"""The KMS key that encrypts a stack's secrets, logs and head state."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pulumi_aws as aws

from raylift.infra.aws.cloudwatch import group_arns
from raylift.infra.aws.iam import allow, document

if TYPE_CHECKING:
    from raylift.infra.aws.account import Account

_DAYS = 7  # AWS' minimum; until then a deletion can be cancelled


def with_key(account: Account) -> Account:
    """Return the account with the key from the stack file, or with a new one."""
    return replace(account, key=account.config.kms_key_arn or _new_key(account).arn)


def _new_key(account: Account) -> aws.kms.Key:
    key = aws.kms.Key(
        "key",
        description=f"Secrets, logs and the head's state of {account.stack}",
        enable_key_rotation=True,
        deletion_window_in_days=_DAYS,
        policy=document(_policy(account)),
        opts=account.guarded(),
    )
    # The console lists keys by alias.
    aws.kms.Alias(
        "key",
        name_prefix=f"alias/{account.stack}-",
        target_key_id=key.id,
        opts=account.options(),
    )
    return key


def _policy(account: Account) -> list[dict[str, object]]:
    """Return statements for the principals that IAM allows, and for CloudWatch Logs.

    EKS and ElastiCache use grants that they create on behalf of the caller, so IAM
    policies apply. CloudWatch Logs uses its service principal:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    """
    owner = allow(["kms:*"], ["*"])
    owner["Principal"] = {"AWS": f"arn:aws:iam::{account.id}:root"}
    uses = ("Encrypt", "Decrypt", "ReEncrypt*", "GenerateDataKey*", "Describe*")
    logs = allow(
        [f"kms:{action}" for action in uses],
        ["*"],
        principal=f"logs.{account.region}.amazonaws.com",
        condition={
            "ArnEquals": {"kms:EncryptionContext:aws:logs:arn": group_arns(account)}
        },
    )
    return [owner, logs]
