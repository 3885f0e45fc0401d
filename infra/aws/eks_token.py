"""A token for an EKS cluster: a signed question to STS, who am I.

The API server puts the question to STS and takes the answer for the caller's identity.
Source: aws-iam-authenticator, pkg/token; the server takes it for 15 minutes.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from raylift.errors import Denied

_SECONDS = 60
_VALID = timedelta(minutes=14)


def credential(cluster: str, *, region: str, profile: str | None) -> dict[str, Any]:
    """An ExecCredential, as client-go wants it of an exec plugin.

    Raises:
        Denied: there are no AWS credentials.
    """
    import boto3
    import botocore.exceptions
    from botocore.signers import RequestSigner

    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        keys = session.get_credentials()
    except botocore.exceptions.BotoCoreError as error:
        raise Denied(f"no AWS credentials: {error}") from None
    if keys is None:
        raise Denied("no AWS credentials", hint="aws configure, or aws sso login")
    client = session.client("sts")
    service = client.meta.service_model.service_id
    signer = RequestSigner(service, region, "sts", "v4", keys, session.events)
    question = {
        "method": "GET",
        "url": f"https://sts.{region}.amazonaws.com/"
        "?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": cluster},
        "context": {},
    }
    url = signer.generate_presigned_url(
        question, region_name=region, expires_in=_SECONDS, operation_name=""
    )
    token = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    expires = (datetime.now(UTC) + _VALID).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": f"k8s-aws-v1.{token}", "expirationTimestamp": expires},
    }
