"""The bucket for code packages: private, encrypted, TLS only, nothing overwritten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi_aws as aws
from pulumi import Output

from infra.aws.identity import allow

if TYPE_CHECKING:
    import pulumi

    from infra.aws.account import Account

_LEFT_DAYS, _REPLACED_DAYS = 7, 30  # of an upload cut off, of a version replaced


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
            {
                # A key of AWS' own for S3: who is not of the account cannot use it.
                "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms"},
                "bucket_key_enabled": True,
            }
        ],
        opts=here.options(),
    )
    aws.s3.BucketPolicy(
        "packages",
        bucket=made.id,
        policy=Output.json_dumps(_tls_only(made)),
        opts=here.options(depends_on=[closed]),
    )
    kept = aws.s3.BucketVersioning(
        "packages",
        bucket=made.id,
        versioning_configuration={"status": "Enabled"},
        opts=here.options(),
    )
    _expire(here, made, wanted.expire_days, kept)
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


def _expire(
    here: Account, made: aws.s3.Bucket, days: int | None, kept: pulumi.Resource
) -> None:
    """What nobody reads any more goes; packages themselves only if the file says so."""
    rule: Any = {
        "id": "old-packages",
        "status": "Enabled",
        "filter": {"prefix": ""},
        "abort_incomplete_multipart_upload": {"days_after_initiation": _LEFT_DAYS},
        "noncurrent_version_expiration": {"noncurrent_days": _REPLACED_DAYS},
    }
    if days is not None:
        rule["expiration"] = {"days": days}
    aws.s3.BucketLifecycleConfiguration(
        "packages", bucket=made.id, rules=[rule], opts=here.options(depends_on=[kept])
    )
