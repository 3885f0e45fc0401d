"""Environment variables of a container, and the kubelet's expansion of $(NAME)."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from api import Api

REFERENCE = re.compile(r"\$\$|\$\((\w+)\)")
KEYED = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")


def expand(text: str, values: dict[str, str]) -> str:
    """Replace $(NAME) with the value of a known name, and $$ with a dollar sign."""

    def value(match: re.Match[str]) -> str:
        return values.get(match[1], match[0]) if match[1] else "$"

    return REFERENCE.sub(value, text)


def environment(
    api: Api, pod: dict, container: dict, defaults: dict[str, str]
) -> dict[str, str]:
    """Return `defaults` and the container's variables; `pod` has its address."""
    values, namespace = dict(defaults), pod["metadata"]["namespace"]
    for source in container.get("envFrom", []):
        if reference := source.get("configMapRef"):
            values |= config_map(api, namespace, reference["name"])
        else:
            values |= secrets(api, namespace, source["secretRef"]["name"])
    for entry in container.get("env", []):
        values[entry["name"]] = expand(_value(api, pod, entry), values)
    return values


def _value(api: Api, pod: dict, entry: dict) -> str:
    source = entry.get("valueFrom", {})
    if reference := source.get("secretKeyRef"):
        namespace = pod["metadata"]["namespace"]
        return secrets(api, namespace, reference["name"])[reference["key"]]
    if reference := source.get("fieldRef"):
        return field(pod, reference["fieldPath"])
    return entry.get("value", "")


def config_map(api: Api, namespace: str, name: str) -> dict[str, str]:
    """Return the data of a ConfigMap."""
    found = api.call("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}")
    if found is None:
        raise ValueError(f"configmap {name!r} not found")
    return found["data"]


def secrets(api: Api, namespace: str, name: str) -> dict[str, str]:
    """Return the decoded data of a Secret."""
    secret = api.call("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
    if secret is None:
        raise ValueError(f"secret {name!r} not found")
    return {k: base64.b64decode(v).decode() for k, v in secret["data"].items()}


def field(pod: dict, path: str) -> str:
    """Return a field of a pod, with the downward API's name for it."""
    if keyed := KEYED.fullmatch(path):
        return pod["metadata"].get(keyed[1], {}).get(keyed[2], "")
    value = pod
    for key in path.split("."):
        value = value[key]
    return str(value)
