"""Code packages in an S3 bucket."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raylift.errors import FailedPrecondition, PermissionDenied, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.exceptions import ClientError

    from raylift.serve_runtime.packaging.package import Package

_THERE = ("PreconditionFailed", "ConditionalRequestConflict")
_DENIED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_DENIED |= {"ExpiredToken", "400", "403"}  # a denied HEAD has no message
_CREDENTIALS = re.compile("Credential|Profile|SSO|Token")


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, or a prefix in it: `s3://NAME` or `s3://NAME/PREFIX`.

    Without a profile or a region, those of the environment apply.
    """

    uri: str
    profile: str | None = None
    region: str | None = None


def store(package: Package, bucket: Bucket) -> tuple[str, int]:
    """Upload a package, unless the bucket has it.

    Return the URI and the number of bytes sent.

    Raises:
        FailedPrecondition: The bucket does not exist.
        PermissionDenied, Unreachable: The bucket cannot be written.
    """
    import boto3

    name, _, prefix = bucket.uri.removeprefix("s3://").partition("/")
    key = "/".join(filter(None, (prefix.strip("/"), package.path.name)))
    with _translated_errors(name):
        session = boto3.Session(profile_name=bucket.profile, region_name=bucket.region)
        client = session.client("s3")
        return f"s3://{name}/{key}", _put(client, package, name, key)


def _put(client: Any, package: Package, bucket: str, key: str) -> int:  # noqa: ANN401 boto3's
    """Upload a package, but never overwrite one; return the number of bytes sent."""
    import botocore.exceptions

    named = {"Bucket": bucket, "Key": key}
    try:
        client.head_object(**named)
    except botocore.exceptions.ClientError as error:
        # Without permission to list the bucket, S3 returns 403 for a missing object.
        if _code(error) not in ("404", "403"):
            raise
    else:
        return 0
    try:
        with package.path.open("rb") as body:
            client.put_object(**named, Body=body, IfNoneMatch="*")
    except botocore.exceptions.ClientError as error:
        if _code(error) in _THERE:
            return 0
        raise
    return package.size


@contextlib.contextmanager
def _translated_errors(bucket: str) -> Iterator[None]:
    """Convert errors of AWS to raylift's errors."""
    import botocore.exceptions

    try:
        yield
    except botocore.exceptions.ClientError as error:
        code = _code(error)
        if code == "NoSuchBucket":
            raise FailedPrecondition(f"bucket '{bucket}' does not exist") from None
        text = error.response.get("Error", {}).get("Message", code)
        kind = PermissionDenied if code in _DENIED else Unreachable
        raise kind(f"cannot write to bucket '{bucket}': {text}") from None
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        if _CREDENTIALS.search(type(error).__name__):
            hint = "run `aws configure` or `aws sso login`"
            raise PermissionDenied(f"no AWS credentials: {error}", hint=hint) from None
        raise Unreachable(f"cannot reach bucket '{bucket}': {error}") from None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
