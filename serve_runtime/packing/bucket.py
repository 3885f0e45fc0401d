"""Code packages in a bucket, where every node of a cluster can read them."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raylift.errors import CannotWork, Denied, Unreachable
from serve_runtime.packing.pack import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.exceptions import ClientError

    from serve_runtime.packing.pack import Package

_THERE = ("PreconditionFailed", "ConditionalRequestConflict")
_DENIED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_DENIED |= {"ExpiredToken", "400", "403"}  # without a text where HEAD is refused
_CREDENTIALS = re.compile("Credential|Profile|SSO|Token")


def store(
    directory: Path,
    *,
    bucket: str,
    place: str,
    profile: str | None = None,
    region: str | None = None,
) -> tuple[str, int]:
    """Pack a directory and put it there unless it is; its URI, and the bytes sent.

    Args:
        directory: What to ship.
        bucket: `s3://NAME` or `s3://NAME/PREFIX`.
        place: Where the directory was given, for messages.
        profile: Whose AWS credentials; None for those of the environment.
        region: Where the bucket is; None to let AWS say.

    Raises:
        InputFailed: it must not be packed.
        Denied, Unreachable: the bucket does not take it.
    """
    import boto3

    package = pack(directory, store=_cache(), place=place)
    name, _, prefix = bucket.removeprefix("s3://").partition("/")
    key = "/".join(filter(None, (prefix.strip("/"), package.path.name)))
    with _told(name):
        client = boto3.Session(profile_name=profile, region_name=region).client("s3")
        return f"s3://{name}/{key}", _put(client, package, name, key)


def _cache() -> Path:
    """Where packages are made; what is in it can be made again.

    Raises:
        Denied: it cannot be written.
    """
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(base).expanduser() / "raylift"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise Denied(
            f"{folder}: cannot be written: {reason}", hint="set XDG_CACHE_HOME"
        ) from None
    return folder / "packages"


def _put(client: Any, package: Package, bucket: str, key: str) -> int:  # noqa: ANN401 boto3's
    """Bytes sent: 0 where the bucket has it. Nothing is ever overwritten."""
    import botocore.exceptions

    named = {"Bucket": bucket, "Key": key}
    try:
        client.head_object(**named)
    except botocore.exceptions.ClientError as error:
        # Who may not list a bucket is told 403 of what is not there.
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
def _told(bucket: str) -> Iterator[None]:
    """Errors of AWS as ours."""
    import botocore.exceptions

    try:
        yield
    except botocore.exceptions.ClientError as error:
        code = _code(error)
        if code == "NoSuchBucket":
            raise CannotWork(f"bucket '{bucket}' does not exist") from None
        text = error.response.get("Error", {}).get("Message", code)
        kind = Denied if code in _DENIED else Unreachable
        raise kind(f"bucket '{bucket}' does not take packages: {text}") from None
    except (botocore.exceptions.BotoCoreError, ValueError) as error:
        if _CREDENTIALS.search(type(error).__name__):
            hint = "aws configure, or aws sso login"
            raise Denied(f"no AWS credentials: {error}", hint=hint) from None
        raise Unreachable(f"bucket '{bucket}' does not answer: {error}") from None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
