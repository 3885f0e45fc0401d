"""Calls of moto's AWS API, with inputs of pulumi_aws as parameters.

The inputs of pulumi_aws are the parameters of the API in another form: names are in
camel case, a list of at most one element is that element, tags are a map, and some
numbers and Booleans are strings. botocore's model of an operation contains the API's
form, so a type declares only the inputs that have another name. A nested property that
the API does not have is an error, because it would be lost silently.
"""

import contextvars
import json
import os
import re
import threading

import boto3
import botocore

REGION = contextvars.ContextVar("region", default=None)  # of the current call
_clients, _lock = {}, threading.Lock()


class Gone(Exception):
    """The error for a resource that does not exist (NotFound in AWS)."""


class Refused(Exception):
    """The error for a request that the real API refuses and moto accepts."""


def is_gone(error):
    """Return whether an error is NotFound, NoSuchEntity or another such name in AWS."""
    text = f"{type(error).__name__} {error}"
    return isinstance(error, Gone) or bool(re.search(r"Not ?Found|NoSuch", text))


def region():
    return REGION.get() or os.environ.get("AWS_REGION", "us-east-1")


def api(service):
    """Return a client of SERVICE in the call's region; creating one takes 0.1 s."""
    key = service, region(), os.environ.get("AWS_ENDPOINT_URL")
    with _lock:  # boto3's default session is not thread-safe
        if key not in _clients:
            _clients[key] = boto3.client(service, region_name=key[1])
    return _clients[key]


def account():
    return api("sts").get_caller_identity()["Account"]


def arn(service, rest):
    return f"arn:aws:{service}:{region()}:{account()}:{rest}"


def call(service, operation, inputs, renames=None, **more):
    """Call OPERATION (such as CreateVpc) with the INPUTS that are parameters of it."""
    method = getattr(api(service), botocore.xform_name(operation))
    return method(**given(service, operation, inputs, renames), **more)


def given(service, operation, inputs, renames=None, member=None):
    """Return INPUTS as parameters of OPERATION, or of its structure MEMBER."""
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
    """Return the two members of a tag (Key and Value, TagKey and TagValue), or None."""
    if shape.type_name != "structure" or len(shape.members) != 2:
        return None
    names = sorted(shape.members)  # …Key before …Value
    return names if names[0].lower().endswith("key") else None


def pascal(name):
    return name[:1].upper() + name[1:]


def camel_name(name):
    return name[:1].lower() + name[1:]


def camel(value):
    """Return a description from the API with keys as in pulumi_aws."""
    if isinstance(value, dict):
        return {camel_name(key): camel(item) for key, item in value.items()}
    return [camel(item) for item in value] if isinstance(value, list) else value


def first(found, what):
    """Return the first item of FOUND.

    Raises:
        Gone: The list is empty, which is moto's response for some missing resources.
    """
    if not found:
        raise Gone(f"NotFound: {what}")
    return found[0]


def where(**filters):
    """Return filters of EC2 that must all match: vpc_id is the filter vpc-id."""
    return [
        {"Name": name.replace("_", "-"), "Values": [value]}
        for name, value in filters.items()
    ]


def tags_of(described):
    """Return the tags in a response as a map."""
    listed = described.get("Tags") or described.get("TagList") or []
    return {tag["Key"]: tag["Value"] for tag in listed}


def tag_list(tags):
    return [{"Key": key, "Value": value} for key, value in (tags or {}).items()]


def changed(old, new, *names):
    return any(old.get(name) != new.get(name) for name in names)


def difference(old, new):
    """Return the keys to delete from the map OLD and the items to set, to get NEW."""
    old, new = old or {}, new or {}
    put = {key: value for key, value in new.items() if old.get(key) != value}
    return [key for key in old if key not in new], put


def exchange(old, new, name):
    """Return (removed, added) items between two lists, regardless of their order."""
    before, after = set(old.get(name) or []), set(new.get(name) or [])
    return sorted(before - after), sorted(after - before)
