"""Files of other tools that may be mistaken for a Serve config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from raylift.errors import InvalidInput
from raylift.messages import did_you_mean, printable
from raylift.serve_runtime.serve_config.schema import ServeDeploy
from raylift.yaml_document import documents, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

_ANYSCALE = {
    *("compute_config", "image_uri", "containerfile", "query_auth_token_enabled"),
    *("working_dir", "requirements", "env_vars", "cloud", "project", "name"),
}
_SKYPILOT = {"run", "setup", "resources", "service", "file_mounts", "workdir", "envs"}
_BENTOML = {"service", "include", "python", "docker", "models", "labels", "envs"}
_KNOWN = {*ServeDeploy.model_fields, *ServeDeploy.replaced}
_WRITE = "write an application for Ray Serve, and a Serve config that names it"
_SHOWN = 5


def refuse(value: dict[str, Any], *, name: str) -> None:
    """Raise InvalidInput for a file of another tool; `name` is that of the file."""
    for what, hint in _recognized(value, name):
        raise InvalidInput.at(name, f"is {what}, not a Serve config", hint=hint)
    keys = [key for key in value if not key.startswith("x-")]
    is_typo = any(did_you_mean(key, ["applications"]) for key in keys)
    if keys and not is_typo and not _KNOWN & {*keys}:
        shown = ", ".join(map(printable, keys[:_SHOWN]))
        more = ", …" if len(keys) > _SHOWN else ""
        text = f"is not a Serve config: has no applications, only {shown}{more}"
        raise InvalidInput.at(name, text, hint=_WRITE)


def refuse_several(text: str, *, name: str) -> None:
    """Raise InvalidInput for a file with several documents, if one is recognized."""
    found: list[tuple[str, str]] = []
    for part in documents(text):
        try:
            value = parse(part, name=name).value
        except InvalidInput:
            return
        found += _recognized(value, name) if isinstance(value, dict) else []
    for what, hint in sorted(found, key=lambda each: "RayService" not in each[0]):
        raise InvalidInput.at(name, f"contains {what}, not a Serve config", hint=hint)


def _recognized(value: dict[str, Any], name: str) -> Iterable[tuple[str, str]]:
    """Yield what a file is, with a hint; nothing for a Serve config."""
    convert = f"run `raylift import {name} > {_output(name)}` to convert it"
    if isinstance(value.get("kind"), str):
        yield from _manifest(value, value["kind"], name, convert)
    elif "serveConfigV2" in value or _has_serve_config(value.get("spec")):
        yield "a part of a RayService manifest", convert
    elif "applications" in value:
        if extra := sorted(_ANYSCALE & value.keys()):
            hint = (
                f"keep only applications; remove {', '.join(extra)}, and move code,"
                " requirements and variables to runtime_env"
            )
            yield "an Anyscale service config", hint
    elif isinstance(value.get("config"), dict):
        yield "a stack file", "pass a Serve config file or module:app"
    elif "bento" in value or (
        isinstance(value.get("service"), str)
        and value.keys() & (_BENTOML - {"service"})
    ):
        yield "a BentoML file", _WRITE
    elif isinstance(value.get("services"), dict):
        yield "a Docker Compose file", _WRITE
    elif "run" in value or len(value.keys() & _SKYPILOT) > 1:
        yield "a SkyPilot task", _WRITE


def _output(name: str) -> str:
    """Return a file to write to: a shell empties it before the file is read."""
    return "imported.yaml" if name.endswith("serve.yaml") else "serve.yaml"


def _has_serve_config(spec: object) -> bool:
    return isinstance(spec, dict) and "serveConfigV2" in spec


def _manifest(
    value: dict[str, Any], kind: str, name: str, convert: str
) -> Iterable[tuple[str, str]]:
    version = str(value.get("apiVersion", ""))
    if kind == "RayService":
        yield "a RayService manifest", convert
    elif kind == "RayJob":
        hint = "raylift deploys applications; submit jobs with `ray job submit`"
        yield "a RayJob manifest", hint
    elif version.startswith("ray.io/"):
        hint = "create the cluster with `raylift up`, and deploy a Serve config to it"
        yield f"a {kind} manifest", hint
    elif version.startswith("serving.kserve.io/"):
        yield f"a KServe {kind}", _WRITE
    elif kind == "List" and isinstance(value.get("items"), list):
        for item in value["items"]:
            yield from _recognized(item, name) if isinstance(item, dict) else ()
    elif version:
        yield f"a Kubernetes manifest of kind {kind}", _WRITE
