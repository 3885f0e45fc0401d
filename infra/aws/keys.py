"""The KMS key of a stack: what it keeps in AWS is encrypted by it, and by no other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pulumi_aws as aws

from infra.aws.identity import allow, document
from infra.aws.logs import group_arns

if TYPE_CHECKING:
    from infra.aws.account import Account

_DAYS = 7  # until a deleted key is gone, and its deletion can be taken back; AWS' least


def with_key(here: Account) -> Account:
    """The account with the stack's key: the one that its file names, or its own."""
    return replace(here, key=here.config.kms_key_arn or _own(here).arn)


def _own(here: Account) -> aws.kms.Key:
    key = aws.kms.Key(
        "key",
        description=f"Secrets, logs and the head's state of {here.stack}",
        enable_key_rotation=True,
        deletion_window_in_days=_DAYS,
        policy=document(_may_use(here)),
        opts=here.guarded(),
    )
    # The console shows keys by it; one without is one that a killed run had begun.
    aws.kms.Alias(
        "key",
        name_prefix=f"alias/{here.stack}-",
        target_key_id=key.id,
        opts=here.options(),
    )
    return key


def _may_use(here: Account) -> list[dict[str, object]]:
    """Who may use it: whom IAM lets in this account, and CloudWatch for these logs.

    EKS and ElastiCache use it by grants that they make in the name of who makes the
    cluster, for which IAM decides. CloudWatch Logs comes as itself:
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
    """
    account = allow(["kms:*"], ["*"])
    account["Principal"] = {"AWS": f"arn:aws:iam::{here.id}:root"}
    uses = ("Encrypt", "Decrypt", "ReEncrypt*", "GenerateDataKey*", "Describe*")
    logs = allow(
        [f"kms:{action}" for action in uses],
        ["*"],
        principal=f"logs.{here.region}.amazonaws.com",
        condition={
            "ArnEquals": {"kms:EncryptionContext:aws:logs:arn": group_arns(here)}
        },
    )
    return [account, logs]
