"""The bucket for code packages: private, encrypted, versioned, accessed over TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi_aws as aws
from pulumi import Output

from raylift.infra.aws.iam import allow

if TYPE_CHECKING:
    import pulumi

    from raylift.infra.aws.account import Account

_INCOMPLETE_DAYS, _NONCURRENT_DAYS = (
    7,
    30,
)  # for interrupted uploads, for noncurrent versions


def bucket(account: Account) -> aws.s3.Bucket:
    """Create the bucket that `deploy` writes to and Ray reads from."""
    config = account.config.storage
    packages = aws.s3.Bucket(
        "packages", force_destroy=config.force_destroy, opts=account.guarded()
    )
    private = aws.s3.BucketPublicAccessBlock(
        "packages",
        bucket=packages.id,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=True,
        opts=account.options(),
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        "packages",
        bucket=packages.id,
        rules=[
            {
                # The AWS managed key for S3; other accounts cannot use it.
                "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms"},
                "bucket_key_enabled": True,
            }
        ],
        opts=account.options(),
    )
    aws.s3.BucketPolicy(
        "packages",
        bucket=packages.id,
        policy=Output.json_dumps(_tls_only(packages)),
        opts=account.options(depends_on=[private]),
    )
    versioning = aws.s3.BucketVersioning(
        "packages",
        bucket=packages.id,
        versioning_configuration={"status": "Enabled"},
        opts=account.options(),
    )
    _expire(account, packages, config.expire_days, versioning)
    return packages


def reading(packages: aws.s3.Bucket) -> list[dict[str, Any]]:
    """Return statements that allow Ray's pods to read packages."""
    objects = Output.concat(packages.arn, "/*")
    return [
        allow(["s3:GetObject"], [objects]),
        allow(["s3:ListBucket"], [packages.arn]),
    ]


def _tls_only(packages: aws.s3.Bucket) -> dict[str, Any]:
    objects = Output.concat(packages.arn, "/*")
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [packages.arn, objects],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _expire(
    account: Account,
    packages: aws.s3.Bucket,
    days: int | None,
    versioning: pulumi.Resource,
) -> None:
    """Expire interrupted uploads, noncurrent versions and, after `days`, packages."""
    rule: Any = {
        "id": "old-packages",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "abort_incomplete_multipart_upload": {
            "days_after_initiation": _INCOMPLETE_DAYS
        },
        "noncurrent_version_expiration": {"noncurrent_days": _NONCURRENT_DAYS},
    }
    if days is not None:
        rule["expiration"] = {"days": days}
    aws.s3.BucketLifecycleConfiguration(
        "packages",
        bucket=packages.id,
        rules=[rule],
        opts=account.options(depends_on=[versioning]),
    )
