"""Tokens for EKS clusters: a presigned STS GetCallerIdentity request.

The API server sends the request to STS and uses the response as the caller's identity.
A token is valid for 15 minutes. Source: pkg/token of
https://github.com/kubernetes-sigs/aws-iam-authenticator
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from raylift.errors import PermissionDenied

_SECONDS = 60
_VALID = timedelta(minutes=14)


def credential(cluster: str, *, region: str, profile: str | None) -> dict[str, Any]:
    """Return an ExecCredential, the output of an exec plugin for client-go.

    Raises:
        PermissionDenied: There are no AWS credentials.
    """
    import boto3
    import botocore.exceptions
    from botocore.signers import RequestSigner

    try:
        session = boto3.Session(profile_name=profile, region_name=region)
        keys = session.get_credentials()
    except botocore.exceptions.BotoCoreError as error:
        raise PermissionDenied(
            f"no AWS credentials: {error}",
            hint="run `aws configure` or `aws sso login`",
        ) from None
    if keys is None:
        raise PermissionDenied(
            "no AWS credentials", hint="run `aws configure` or `aws sso login`"
        )
    client = session.client("sts")
    service = client.meta.service_model.service_id
    signer = RequestSigner(service, region, "sts", "v4", keys, session.events)
    request = {
        "method": "GET",
        "url": f"https://sts.{region}.amazonaws.com/"
        "?Action=GetCallerIdentity&Version=2011-06-15",
        "body": {},
        "headers": {"x-k8s-aws-id": cluster},
        "context": {},
    }
    url = signer.generate_presigned_url(
        request, region_name=region, expires_in=_SECONDS, operation_name=""
    )
    token = base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")
    expires = (datetime.now(UTC) + _VALID).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": f"k8s-aws-v1.{token}", "expirationTimestamp": expires},
    }
