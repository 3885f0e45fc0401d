"""A double of the AWS IAM authenticator, which EKS' API servers ask about a token.

`authenticator.py PORT MOTO-URL`: a webhook for TokenReviews. As the original, it takes
only a question to STS, who am I, that is young enough, and signed together with the
name of a cluster. The original puts it to STS; here the signature is made once more,
with the one secret key that a rig has. Which cluster it must be, the original is told;
this API server plays every EKS cluster that there is in moto.
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
    """Who has signed the token for one of `clusters(region)`; None for nobody."""
    text = token.removeprefix(PREFIX)
    url = urlsplit(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode())
    query = dict(parse_qsl(url.query))
    signature, date = query.pop("X-Amz-Signature"), query["X-Amz-Date"]
    key, _, region, service, _ = query["X-Amz-Credential"].split("/")
    made = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    is_question = (
        token.startswith(PREFIX)
        and (url.scheme, url.path) == ("https", "/")
        and url.netloc == f"sts.{region}.amazonaws.com"
        and query["Action"] == "GetCallerIdentity"
        and HEADER in query["X-Amz-SignedHeaders"].split(";")
        and (key, service) == (KEY.access_key, "sts")
        and abs(datetime.now(UTC) - made) < ACCEPTED
    )
    if not is_question:
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
        except (KeyError, ValueError) as error:  # no question to STS at all
            print(repr(error), file=sys.stderr, flush=True)
            user = None
        told = {"authenticated": user is not None, **({"user": user} if user else {})}
        answer = {key: review[key] for key in ("apiVersion", "kind")} | {"status": told}
        body = json.dumps(answer).encode()
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
