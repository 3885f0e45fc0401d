"""The schema of a `runtime_env`, with the rules by which Ray accepts one.

Ray checks most of a `runtime_env` only when it starts to build the application, which
it then leaves half deployed. These models reject what Ray 2.60 would reject there
(ray/runtime_env/runtime_env.py and ray/_private/runtime_env/validation.py), and a test
compares them with the installed Ray. Files that a value names are read by the caller.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Annotated, Any
from urllib.parse import ParseResult, urlparse

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from raylift.messages import kind
from raylift.redaction import is_secret
from raylift.strict_model import Strict

# ray/_common/runtime_env_uri.py, Protocol; `local` is a directory on every node.
_SCHEMES = ("https", "s3", "gs", "azure", "abfss", "file", "local", "http", "gcs")
_URI = re.compile(rf"local:///.|({'|'.join(s for s in _SCHEMES if s != 'local')})://.")
# ray/_common/runtime_env_package.py, RUNTIME_ENV_PACKAGE_EXTENSIONS
_ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar.xz")
_MODULES = (*_ARCHIVES, ".whl")
# Ray stores these keys even if their value is null, so null counts as a value here.
_STORED_NULLS = {"excludes", "java_jars", "nsight", "rocprof_sys"}
_WITH_IMAGE = {"config", "env_vars"}
_MANAGERS = ("pip", "uv", "conda")


def _uri(value: str, extensions: tuple[str, ...]) -> str:
    if not _URI.match(value):
        raise ValueError(
            f"must be a URI ({', '.join(_SCHEMES)}), not {_shown(value)}; only"
            " an application's working_dir can be a local directory"
        )
    url = urlparse(value)  # raises ValueError if the host is malformed
    if url.scheme == "local":
        if value.endswith(_MODULES):
            raise ValueError(
                f"a local:// URI must name a directory, not {_shown(value)}"
            )
        return value
    if not _package_name(url).endswith(extensions):
        names = ", ".join(extensions)
        raise ValueError(f"must end in one of {names}, not {_shown(value)}")
    return value


def _shown(value: str) -> str:
    return kind(value, hidden=is_secret((), value))


def _package_name(url: ParseResult) -> str:
    """Return the end of a package's name as Ray's `parse_uri` determines it."""
    name = url.netloc if url.scheme == "gcs" else url.netloc + url.path
    whole = url.scheme == "gcs" or url.path.endswith(".whl")
    is_compound = name.endswith((".tar.gz", ".tar.bz2", ".tar.xz"))
    return name if whole or is_compound else PurePath(name).suffix


def _working_dir(value: str | None) -> str | None:
    if value is not None and "://" in value:
        return _uri(value, _ARCHIVES)
    if value == "":
        raise ValueError("must not be empty; use '.' for the directory of this file")
    return value


def _env_vars(value: dict[str, str]) -> dict[str, str]:
    for name, text in value.items():
        if not name or "=" in name or "\0" in name + text:
            before, sign, _ = name.partition("=")
            shown = f"{before}=…" if sign else name
            raise ValueError(f"{shown}: not a valid environment variable name")
    return value


def _requirements(value: object) -> object:
    """Return the mapping form of a list of requirements or of a file with one."""
    if isinstance(value, str):
        return {"packages": [value]}
    if isinstance(value, list):
        for index, item in enumerate(value):
            if not isinstance(item, str):
                raise ValueError(  # noqa: TRY004 pydantic expects a ValueError
                    f"entry {index} must be a string, not {kind(item)}"
                )
        return {"packages": value}
    if isinstance(value, dict):
        return value
    raise ValueError(f"must be a list of requirements, not {kind(value)}")


def _packages(value: object) -> object:
    """Return the packages of a mapping, which pip can also read from a file."""
    return [value] if isinstance(value, str) else value


def _timeout(value: int) -> int:
    if value <= 0 and value != -1:
        raise ValueError(f"must be at least 1, or -1 for no timeout, not {value}")
    return value


def _conda(value: object) -> object:
    if not isinstance(value, str | dict):
        raise ValueError(  # noqa: TRY004 pydantic expects a ValueError
            f"must be the name of an environment, a file or a mapping, not"
            f" {kind(value)}"
        )
    return value


ArchiveUri = Annotated[str, AfterValidator(lambda value: _uri(value, _ARCHIVES))]
ModuleUri = Annotated[str, AfterValidator(lambda value: _uri(value, _MODULES))]
WorkingDir = Annotated[str | None, AfterValidator(_working_dir)]
EnvVars = Annotated[dict[str, str], AfterValidator(_env_vars)]


class Pip(Strict):
    """The mapping form of `pip`."""

    packages: Annotated[list[str], BeforeValidator(_packages)]
    pip_check: bool = False
    pip_version: str = ""
    pip_install_options: list[str] = []


class Uv(Strict):
    """The mapping form of `uv`."""

    packages: list[str]
    uv_check: bool = False
    uv_version: str = ""
    uv_pip_install_options: list[str] = []


class Setup(Strict):
    """The `config` of a runtime_env; ray.runtime_env.RuntimeEnvConfig."""

    setup_timeout_seconds: Annotated[int, AfterValidator(_timeout)] = 600
    eager_install: bool = True
    log_files: list[str] | None = None


class RuntimeEnv(Strict):
    """A Ray `runtime_env`; ray/runtime_env/runtime_env.py, known_fields."""

    py_modules: list[ModuleUri] = []
    py_executable: str | None = None
    working_dir: WorkingDir = None
    pip: Annotated[Pip, BeforeValidator(_requirements)] | None = None
    uv: Annotated[Uv, BeforeValidator(_requirements)] | None = None
    conda: Annotated[Any, BeforeValidator(_conda)] | None = None
    java_jars: list[str] | None = None
    container: dict[str, Any] | None = None
    image_uri: str | None = None
    excludes: list[str] | None = None
    env_vars: EnvVars | None = None
    nsight: Any = Field(default=None, alias="_nsight")
    rocprof_sys: Any = Field(default=None, alias="_rocprof_sys")
    config: Setup | None = None
    worker_process_setup_hook: str | None = None

    @model_validator(mode="after")
    def _keys_combine(self) -> RuntimeEnv:
        if text := conflict(self):
            raise ValueError(text)
        return self


def conflict(*environments: RuntimeEnv) -> str:
    """Return which keys cannot be combined, or "".

    The keys of a later environment override those of an earlier one, as those of a
    deployment override those of its application.
    """
    values = {
        key: getattr(each, key)
        for each in environments
        for key in each.model_fields_set
    }
    present = [k for k, v in values.items() if k in _STORED_NULLS or v is not None]
    managers = [key for key in _MANAGERS if key in present]
    if len(managers) > 1:
        return f"{managers[0]} cannot be combined with {managers[1]}"
    for image in ("container", "image_uri"):
        others = sorted({*present} - {image} - _WITH_IMAGE)
        if values.get(image) and others:
            return f"{image} cannot be combined with {others[0]}"
    return ""


class ReplicaRuntimeEnv(RuntimeEnv):
    """A `runtime_env` of a deployment, whose working_dir cannot be a directory."""

    working_dir: ArchiveUri | None = None


class ControllerRuntimeEnv(Strict):
    """The part of a runtime_env that ray.serve.config.ControllerOptions accepts."""

    env_vars: EnvVars = {}
