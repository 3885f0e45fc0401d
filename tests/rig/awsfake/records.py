"""Resources that moto has no API for, stored in moto as SSM parameters.

moto does not support EKS add-ons, access entries, pod identity associations, placement
groups and some others. Each is an SSM parameter /fakeaws/<type>/<ID> with its inputs
and outputs as JSON. All processes that use a moto server share them. They remain after
the plugin exits, as real resources would, so a scan of moto finds leftovers. (AWS
reserves names that begin with `aws`, so /awsfake would be refused.)
"""

import json
import urllib.parse

from awsfake.wire import api

ROOT = "/fakeaws"


def _path(kind, ident):
    return f"{ROOT}/{kind}/{urllib.parse.quote(ident, safe='').replace('%', '.')}"


def write(kind, ident, value, *, new=False):
    """Store VALUE; with NEW, refuse an existing ID, as the API does."""
    api("ssm").put_parameter(
        Name=_path(kind, ident),
        Value=json.dumps({"id": ident, **value}),
        Type="String",
        Tier="Advanced",
        Overwrite=not new,
    )


def read(kind, ident):
    parameter = api("ssm").get_parameter(Name=_path(kind, ident))["Parameter"]
    return json.loads(parameter["Value"])


def remove(kind, ident):
    api("ssm").delete_parameter(Name=_path(kind, ident))


def every(kind=""):
    """Yield (kind, record) for all records, or for those of one KIND."""
    pages = api("ssm").get_paginator("get_parameters_by_path")
    path = f"{ROOT}/{kind}".rstrip("/")
    for page in pages.paginate(Path=path, Recursive=True):
        for parameter in page["Parameters"]:
            yield parameter["Name"].split("/")[2], json.loads(parameter["Value"])
