"""Files of other tools that may be mistaken for a Serve config."""

from __future__ import annotations

from typing import Any

_ANYSCALE = {"compute_config", "image_uri", "containerfile", "query_auth_token_enabled"}
_SKYPILOT = {"run", "setup", "resources", "service", "file_mounts"}
_BENTOML = {"service", "include", "python", "docker", "models"}
_CONVERT = "run `raylift import FILE > serve.yaml` to convert it"
_WRITE = "write an application for Ray Serve, and a Serve config that names it"


def recognize(value: dict[str, Any]) -> tuple[str, str]:
    """Return what a file is, with a hint, or two empty strings for a Serve config."""
    if isinstance(value.get("kind"), str) and "apiVersion" in value:
        return _manifest(str(value["apiVersion"]), value["kind"])
    if "applications" in value and (extra := sorted(_ANYSCALE & value.keys())):
        hint = f"keep only applications; remove {', '.join(extra)} and name"
        return "an Anyscale service config", hint
    if "applications" in value:
        return "", ""
    if isinstance(value.get("config"), dict):
        return "a stack file", "pass a Serve config file or module:app"
    if isinstance(value.get("services"), dict):
        return "a Docker Compose file", _WRITE
    if isinstance(value.get("service"), str) and value.keys() & (_BENTOML - _SKYPILOT):
        return "a BentoML build file", _WRITE
    if len(value.keys() & _SKYPILOT) > 1:
        return "a SkyPilot task", _WRITE
    return "", ""


def _manifest(version: str, kind: str) -> tuple[str, str]:
    if version.startswith("ray.io/") and kind == "RayService":
        return "a RayService manifest", _CONVERT
    if version.startswith("ray.io/"):
        return f"a {kind} manifest", "deploy to the cluster with `raylift deploy`"
    if version.startswith("serving.kserve.io/"):
        return f"a KServe {kind}", _WRITE
    return f"a Kubernetes manifest of kind {kind}", _WRITE
