"""A double of the AWS IAM authenticator, which verifies tokens for EKS API servers.

Usage: `authenticator.py PORT MOTO-URL`. It is a webhook for TokenReviews. Like the
original, it accepts only a recent GetCallerIdentity request to STS whose signature
includes the name of a cluster. The original sends the request to STS; this double
computes the signature again with the only secret key of the rig. The original is
configured with the name of its cluster; the rig's API server represents every EKS
cluster in moto, so each of their names is accepted.
"""

from __future__ import annotations

import base64
import hmac
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

import boto3
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

PREFIX = "k8s-aws-v1."
HEADER = "x-k8s-aws-id"
ACCEPTED = timedelta(minutes=15)
KEY = Credentials(os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])


def user_of(token, clusters):
    """Return the user who signed the token for one of `clusters(region)`, or None."""
    text = token.removeprefix(PREFIX)
    url = urlsplit(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    query = dict(parse_qsl(url.query))
    signature, date = query.pop("X-Amz-Signature"), query["X-Amz-Date"]
    key, _, region, service, _ = query["X-Amz-Credential"].split("/")
    made = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    is_valid = (
        token.startswith(PREFIX)
        and (url.scheme, url.path) == ("https", "/")
        and url.netloc == f"sts.{region}.amazonaws.com"
        and query["Action"] == "GetCallerIdentity"
        and HEADER in query["X-Amz-SignedHeaders"].split(";")
        and (key, service) == (KEY.access_key, "sts")
        and abs(datetime.now(UTC) - made) < ACCEPTED
    )
    if not is_valid:
        return None
    address = url._replace(query=urlencode(query)).geturl()
    for cluster in clusters(region):
        request = AWSRequest("GET", address, headers={HEADER: cluster})
        request.context["timestamp"] = date
        auth = SigV4QueryAuth(KEY, service, region)
        text = auth.string_to_sign(request, auth.canonical_request(request))
        if hmac.compare_digest(auth.signature(text, request), signature):
            return {"username": f"aws:{key}", "groups": ["system:masters"]}
    return None


class Webhook(BaseHTTPRequestHandler):
    moto = ""

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            user = user_of(review["spec"]["token"], self.clusters)
        except (KeyError, ValueError) as error:  # not a request to STS
            print(repr(error), file=sys.stderr, flush=True)
            user = None
        status = {"authenticated": user is not None, **({"user": user} if user else {})}
        response = {key: review[key] for key in ("apiVersion", "kind")}
        body = json.dumps(response | {"status": status}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def clusters(self, region):
        eks = boto3.client(
            "eks",
            region_name=region,
            endpoint_url=self.moto,
            aws_access_key_id=KEY.access_key,
            aws_secret_access_key=KEY.secret_key,
        )
        return eks.list_clusters()["clusters"]


if __name__ == "__main__":
    Webhook.moto = sys.argv[2]
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Webhook).serve_forever()
