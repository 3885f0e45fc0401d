"""The field `spec.serveConfigV2` of a RayService."""

from __future__ import annotations

import json
from typing import Any

from raylift.errors import FailedPrecondition
from raylift.ray_service_client import SERVE_PORT

_GRPC_PORT = 9000


def config_of(service: dict[str, Any]) -> dict[str, Any]:
    """Return the Serve config of a RayService, which may be JSON or YAML.

    Raises:
        FailedPrecondition: The field is not a Serve config.
    """
    config = _parsed(service["spec"].get("serveConfigV2") or "{}")
    if not _is_config(config):
        name = service["metadata"]["name"]
        raise FailedPrecondition(
            f"spec.serveConfigV2 of RayService {name} is not a Serve config",
            hint=f"fix it with `kubectl edit rayservice {name}`",
        )
    return dict(config)


def _parsed(text: str) -> Any:  # noqa: ANN401 any YAML value
    """Return the value of a YAML document; None if it is invalid."""
    try:
        return json.loads(text)
    except ValueError:
        return _parsed_yaml(text)


def _parsed_yaml(text: str) -> Any:  # noqa: ANN401 any YAML value
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return None
    # Ray accepts JSON, which has no dates.
    return json.loads(json.dumps(value, default=str))


def _is_config(value: Any) -> bool:  # noqa: ANN401 any YAML value
    applications = value.get("applications") if isinstance(value, dict) else 0
    return applications is None or (
        isinstance(applications, list)
        and all(isinstance(each, dict) for each in applications)
    )


def options_of(config: dict[str, Any]) -> dict[str, Any]:
    """Return the top-level options of a Serve config."""
    return {key: value for key, value in config.items() if key != "applications"}


def documents_of(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the application documents of a Serve config by name."""
    documents = config.get("applications") or []
    return {each.get("name", "default"): each for each in documents}


def with_pod_address(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config with the host and ports that pods and Services expect."""
    http = {**(config.get("http_options") or {}), "host": "0.0.0.0", "port": SERVE_PORT}  # noqa: S104 a pod's own network
    addressed = {**config, "http_options": http}
    if config.get("grpc_options"):
        addressed["grpc_options"] = {**config["grpc_options"], "port": _GRPC_PORT}
    return addressed
