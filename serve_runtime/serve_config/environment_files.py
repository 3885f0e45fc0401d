"""Files that a `runtime_env` names: requirements, and conda environments.

Ray reads such a file where its controller runs, which is another machine. If the file
exists beside the Serve config, its contents replace its name, as in `ray.init`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from raylift.errors import InvalidInput
from raylift.messages import kind
from raylift.redaction import without_secrets
from raylift.yaml_document import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from raylift.key_path import KeyPath


def environments(application: dict[str, Any]) -> Iterator[tuple[KeyPath, Any]]:
    """Yield each runtime_env of an application and its deployments, with its path."""
    yield ("runtime_env",), application.get("runtime_env")
    for index, deployment in enumerate(application.get("deployments") or []):
        options = deployment.get("ray_actor_options") or {}
        path = ("deployments", index, "ray_actor_options", "runtime_env")
        yield path, options.get("runtime_env")


def inline_files(
    environment: dict[str, Any], *, folder: Path
) -> Iterator[tuple[str, str]]:
    """Replace file names in a valid runtime_env; yield a key and text per problem.

    An absolute path that does not exist on this machine stays: it may exist in the
    image.
    """
    for key in ("pip", "uv", "conda"):
        try:
            if value := _contents(key, environment.get(key), folder):
                environment[key] = value
        except InvalidInput as failed:
            yield key, str(failed)


def _contents(key: str, value: object, folder: Path) -> object:
    """Return the replacement of a value that names a file, or None.

    Raises:
        InvalidInput: The file does not exist or cannot be read.
    """
    if key == "pip" and isinstance(value, dict):
        packages = _contents(key, value.get("packages"), folder)
        return packages and {**value, "packages": packages}
    if not isinstance(value, str):
        return None
    if key == "conda" and not value.endswith((".yaml", ".yml")):
        return None  # the name or the directory of an environment
    path = _existing(value, folder)
    if path is None:
        return None
    return _mapping(path, value) if key == "conda" else _lines(path)


def _existing(name: str, folder: Path) -> Path | None:
    """Return the path of a file, or None for one that may be in the image."""
    if "://" in name:
        text = f"must be a list of requirements, not '{without_secrets(name)}'"
        raise InvalidInput.at("", text)
    path = folder / name
    try:
        exists = path.is_file()
    except (OSError, ValueError):
        raise InvalidInput.at("", "not a valid file name") from None
    if exists:
        return path
    if path == Path(name):
        return None
    raise InvalidInput.at("", f"{path} is not a file")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").strip().split("\n")
    except (OSError, UnicodeDecodeError):
        raise InvalidInput.at("", f"{path} is not a readable UTF-8 file") from None


def _mapping(path: Path, name: str) -> dict[str, Any]:
    value = read(path, name=name).value
    if not isinstance(value, dict):
        raise InvalidInput.at(name, f"must be a mapping, not {kind(value)}")
    return value
