"""Calls of the AWS API that moto serves, and inputs of pulumi_aws as their parameters.

The inputs of pulumi_aws are the parameters of the API in another spelling: camel case,
a list of at most one flattened into its element, tags as a map, some numbers and truth
values as text. botocore's model of an operation knows the spelling that is wanted, so
no type has to write it down; only real renames are given, by name. A nested property
that the API does not have is an error: it would be lost without a word.
"""

import contextvars
import json
import os
import re
import threading

import boto3
import botocore

REGION = contextvars.ContextVar("region", default=None)  # of the call being served
_clients, _lock = {}, threading.Lock()


class Gone(Exception):
    """What was asked for does not exist (NotFound, in AWS's words)."""


class Refused(Exception):
    """The real API is known to refuse this, and moto does not."""


def is_gone(error):
    """AWS has many words for it: NotFound, NoSuchEntity, ResourceNotFoundException."""
    text = f"{type(error).__name__} {error}"
    return isinstance(error, Gone) or bool(re.search(r"Not ?Found|NoSuch", text))


def region():
    return REGION.get() or os.environ.get("AWS_REGION", "us-east-1")


def api(service):
    """A client of SERVICE in the region of the call. Making one takes 0.1 s."""
    key = service, region(), os.environ.get("AWS_ENDPOINT_URL")
    with _lock:  # boto3's default session must not be used by two threads at once
        if key not in _clients:
            _clients[key] = boto3.client(service, region_name=key[1])
    return _clients[key]


def account():
    return api("sts").get_caller_identity()["Account"]


def arn(service, rest):
    return f"arn:aws:{service}:{region()}:{account()}:{rest}"


def call(service, operation, inputs, renames=None, **more):
    """Calls OPERATION (CreateVpc) with those of INPUTS that it has a parameter for."""
    method = getattr(api(service), botocore.xform_name(operation))
    return method(**given(service, operation, inputs, renames), **more)


def given(service, operation, inputs, renames=None, member=None):
    """INPUTS as parameters of OPERATION, or of MEMBER, a structure among them."""
    model = api(service).meta.service_model.operation_model(operation)
    shape = model.input_shape.members[member] if member else model.input_shape
    return _structure(shape, inputs, renames or {}, strict=False)


def _structure(shape, values, renames, *, strict=True):
    members = {name.lower(): name for name in shape.members}
    fitted = {}
    for key, value in values.items():
        name = members.get(renames.get(key, key).lower())
        if name and value is not None:
            fitted[name] = _fit(shape.members[name], value, renames)
        elif value is not None and strict:
            raise ValueError(f"{shape.name} of the API has no {key}")
    return fitted


def _fit(shape, value, renames):
    match shape.type_name:
        case "structure":
            return _structure(shape, value, renames)
        case "map":
            return {
                key: _fit(shape.value, item, renames) for key, item in value.items()
            }
        case "list" if isinstance(value, dict) and (
            pair := _key_and_value(shape.member)
        ):
            return [dict(zip(pair, item, strict=True)) for item in value.items()]
        case "list":
            items = value if isinstance(value, list) else [value]
            return [_fit(shape.member, item, renames) for item in items]
        case "boolean":
            return value in (True, "true")
        case "integer" | "long":
            return int(value)
        case "float" | "double":
            return float(value)
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _key_and_value(shape):
    """The two members of a tag: Key and Value, TagKey and TagValue, or none."""
    if shape.type_name != "structure" or len(shape.members) != 2:
        return None
    names = sorted(shape.members)  # …Key comes before …Value
    return names if names[0].lower().endswith("key") else None


def pascal(name):
    return name[:1].upper() + name[1:]


def camel_name(name):
    return name[:1].lower() + name[1:]


def camel(value):
    """A description of the API with its keys as pulumi_aws spells them."""
    if isinstance(value, dict):
        return {camel_name(key): camel(item) for key, item in value.items()}
    return [camel(item) for item in value] if isinstance(value, list) else value


def first(found, what):
    """The one that was FOUND; moto's answer to some questions is an empty list."""
    if not found:
        raise Gone(f"NotFound: {what}")
    return found[0]


def where(**filters):
    """Filters of EC2, all of which must hold: vpc_id is its vpc-id."""
    return [
        {"Name": name.replace("_", "-"), "Values": [value]}
        for name, value in filters.items()
    ]


def tags_of(described):
    """The tags of an answer as a map."""
    listed = described.get("Tags") or described.get("TagList") or []
    return {tag["Key"]: tag["Value"] for tag in listed}


def tag_list(tags):
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]


def changed(old, new, *names):
    return any(old.get(name) != new.get(name) for name in names)


def difference(old, new):
    """What to take from the map OLD and what to put there so that it becomes NEW."""
    old, new = old or {}, new or {}
    put = {key: value for key, value in new.items() if old.get(key) != value}
    return [key for key in old if key not in new], put


def exchange(old, new, name):
    """As `difference`, for a list without order: (what goes, what comes)."""
    before, after = set(old.get(name) or []), set(new.get(name) or [])
    return sorted(before - after), sorted(after - before)
