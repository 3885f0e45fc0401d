"""moto's server, with a request to EKS that raylift sends and moto lacks.

Usage: `python -m awsfake.server PORT`
"""

import json
import re
import sys
from urllib.parse import parse_qs, urlsplit

from moto.core import DEFAULT_ACCOUNT_ID
from moto.eks import urls
from moto.server import main
from moto.ssm.models import ssm_backends

from awsfake.records import ROOT


def pod_identities(request, full_url, headers):
    """Respond to ListPodIdentityAssociations from the double's records."""
    url = urlsplit(full_url)
    cluster = url.path.split("/")[2]
    asked = {key: value[0] for key, value in parse_qs(url.query).items()}
    region = re.search(r"/(\w+-\w+-\d)/eks/", str(request.headers))[1]
    found, _ = ssm_backends[DEFAULT_ACCOUNT_ID][region].get_parameters_by_path(
        f"{ROOT}/eks-pod-identity", with_decryption=False, recursive=True
    )
    records = [json.loads(parameter.value) for parameter in found]
    wanted = {"clusterName": cluster, **asked}
    associations = [
        {**wanted, "associationId": record["id"]}
        for record in records
        if wanted.items() <= record["inputs"].items()
    ]
    return 200, {}, json.dumps({"associations": associations})


if __name__ == "__main__":
    path = "{0}/clusters/(?P<name>[^/]+)/pod-identity-associations$"
    urls.url_paths[path] = pod_identities
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
