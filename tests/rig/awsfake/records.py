"""What the double made and moto has no API for, kept in moto all the same.

EKS add-ons, access entries, pod identity associations, placement groups and a few more
exist nowhere in moto. Each is an SSM parameter /fakeaws/<type>/<ID> that holds its
inputs and outputs as JSON: it is shared by all processes that use one moto server, it
survives the plugin's end as a real resource would, and a scan of moto finds what was
left. (/awsfake would be refused: AWS keeps names that begin with aws for itself.)
"""

import json
import urllib.parse

from awsfake.wire import api

ROOT = "/fakeaws"


def _path(kind, ident):
    return f"{ROOT}/{kind}/{urllib.parse.quote(ident, safe='').replace('%', '.')}"


def write(kind, ident, value, *, anew=False):
    """Keeps VALUE; ANEW: refuse, as the API does, when there is one by that ID."""
    api("ssm").put_parameter(
        Name=_path(kind, ident),
        Value=json.dumps({"id": ident, **value}),
        Type="String",
        Tier="Advanced",
        Overwrite=not anew,
    )


def read(kind, ident):
    parameter = api("ssm").get_parameter(Name=_path(kind, ident))["Parameter"]
    return json.loads(parameter["Value"])


def remove(kind, ident):
    api("ssm").delete_parameter(Name=_path(kind, ident))


def every(kind=""):
    """(kind, record) of all records, or of those of one KIND."""
    pages = api("ssm").get_paginator("get_parameters_by_path")
    path = f"{ROOT}/{kind}".rstrip("/")
    for page in pages.paginate(Path=path, Recursive=True):
        for parameter in page["Parameters"]:
            yield parameter["Name"].split("/")[2], json.loads(parameter["Value"])
