"""The bucket for code packages: private, encrypted, TLS only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi_aws as aws
from pulumi import Output

from infra.aws.identity import allow

if TYPE_CHECKING:
    from infra.aws.account import Account


def bucket(here: Account) -> aws.s3.Bucket:
    """A bucket that `deploy` writes to and Ray reads from."""
    wanted = here.config.storage
    made = aws.s3.Bucket(
        "packages", force_destroy=wanted.force_destroy, opts=here.guarded()
    )
    closed = aws.s3.BucketPublicAccessBlock(
        "packages",
        bucket=made.id,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=here.options(),
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        "packages",
        bucket=made.id,
        rules=[
            {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
        ],
        opts=here.options(),
    )
    aws.s3.BucketPolicy(
        "packages",
        bucket=made.id,
        policy=Output.json_dumps(_tls_only(made)),
        opts=here.options(depends_on=[closed]),
    )
    if wanted.expire_days is not None:
        _expire(here, made, wanted.expire_days)
    return made


def reading(made: aws.s3.Bucket) -> list[dict[str, Any]]:
    """What Ray's pods may do: read packages."""
    inside = Output.concat(made.arn, "/*")
    return [
        allow(["s3:GetObject"], [inside]),
        allow(["s3:ListBucket"], [made.arn]),
    ]


def _tls_only(made: aws.s3.Bucket) -> dict[str, Any]:
    inside = Output.concat(made.arn, "/*")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [made.arn, inside],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _expire(here: Account, made: aws.s3.Bucket, days: int) -> None:
    rule: Any = {
        "id": "old-packages",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "expiration": {"days": days},
    }
    aws.s3.BucketLifecycleConfiguration(
        "packages", bucket=made.id, rules=[rule], opts=here.options()
    )
