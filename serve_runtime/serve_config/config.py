"""A Serve config file, validated without network requests."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raylift.errors import InvalidInput, Problem
from raylift.key_path import dotted
from raylift.messages import (
    did_you_mean,
    kind,
    printable,
)
from raylift.serve_runtime.serve_config import other_tools, splitters
from raylift.serve_runtime.serve_config.anchors import with_advice, without_anchors
from raylift.serve_runtime.serve_config.controller_imports import missing_modules
from raylift.serve_runtime.serve_config.environment_files import (
    environments,
    inline_files,
)
from raylift.serve_runtime.serve_config.excluded_imports import excluded_import
from raylift.serve_runtime.serve_config.schema import ServeDeploy
from raylift.serve_runtime.serve_config.source import SourceInfo, inspect
from raylift.serve_runtime.serve_config.values import with_values
from raylift.strict_model import refuse, validate
from raylift.yaml_document import Document, parse, read, read_text

if TYPE_CHECKING:
    from raylift.key_path import KeyPath


@dataclass(frozen=True, slots=True)
class Application:
    """An application of a Serve config.

    `document` is the mapping that Ray receives (ServeApplicationSchema), `directory`
    the local working_dir before packaging, or None. `facts` is derived from the code.
    `location` is the `file:line` of the import_path.
    """

    name: str
    document: dict[str, Any]
    directory: Path | None
    facts: SourceInfo
    location: str

    def with_document(self, document: dict[str, Any]) -> Application:
        """Return a copy with another document."""
        return replace(self, document=document)


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """A Serve config: its applications, and the options of the Serve instance."""

    applications: list[Application]
    options: dict[str, Any]


def load(path: Path, *, name: str, values: Path | None = None) -> ServeConfig:
    """Read and validate a Serve config file, with the values of another file.

    Paths in both files are relative to the directory of the config.

    Raises:
        InvalidInput: A file or its code is invalid; contains all problems.
    """
    document = _read(path, name)
    if values:
        document = with_values(document, read(values, name=str(values)))
    return check(document, folder=path.resolve().parent)


def _read(path: Path, name: str) -> Document:
    text = read_text(path, name=name)
    try:
        return parse(text, name=name)
    except InvalidInput:
        other_tools.refuse_several(text, name=name)
        raise


def from_import_path(
    import_path: str, *, name: str, route_prefix: str | None, folder: Path
) -> ServeConfig:
    """Return the config of `raylift deploy module:app`, with code from `folder`."""
    value = {
        "applications": [
            {
                "name": name,
                "route_prefix": route_prefix,
                "import_path": import_path,
                "runtime_env": {"working_dir": "."},
            }
        ]
    }
    try:
        return check(Document("command line", value, {}), folder=folder)
    except InvalidInput as failed:
        texts = [_as_typed(problem.text, import_path) for problem in failed.problems]
        problems = [Problem("command line", text) for text in texts]
        raise InvalidInput(*problems, hint=failed.hint) from None


def _as_typed(text: str, import_path: str) -> str:
    """Return a problem with a key of the config as a problem with the command line."""
    key, _, rule = text.removeprefix("applications[0].").partition(": ")
    typed = {"import_path": import_path, "name": "--name"}
    typed["route_prefix"] = "--route-prefix"
    form = f"module:attribute, not {kind(import_path)}"
    rule = rule.replace(form, "a Serve config file or module:app")
    return f"{typed.get(key, key)}: {rule}"


def check(document: Document, *, folder: Path) -> ServeConfig:
    """Validate a parsed document; relative paths are relative to `folder`.

    Raises:
        InvalidInput: The document or its code is invalid; contains all problems.
    """
    if not isinstance(document.value, dict):
        text = f"must be a mapping, not {kind(document.value)}"
        raise InvalidInput.at(document.name, text)
    if "import_path" in document.value and "applications" not in document.value:
        text = (
            "import_path: the single-application format is not supported; move"
            " import_path and its settings to an entry under applications:"
        )
        raise InvalidInput.at(document.location(("import_path",)), text)
    other_tools.refuse(document.value, name=document.name)
    document = without_anchors(document)
    model, problems = validate(ServeDeploy, document.value, location=document.location)
    problems = [with_advice(each, document.value) for each in problems]
    problems += _across_applications(document)
    refuse(problems)
    assert model is not None  # noqa: S101 validate returns problems or a model
    value = copy.deepcopy(document.value)
    reader = _Reader(document, folder)
    applications = [
        reader.application(item, index)
        for index, item in enumerate(value.pop("applications"))
    ]
    refuse(reader.problems + _grpc_arms(applications, document))
    return ServeConfig(applications, value)


def _grpc_arms(applications: list[Application], document: Document) -> list[Problem]:
    """Return a problem for each arm of a splitter that HTTP cannot reach."""
    no_http = {each.name for each in applications if each.facts.no_http}
    problems = []
    for index, application in enumerate(applications):
        arms = splitters.arms_of(application.document)
        for arm in (arm for arm in arms if arm in no_http):
            path = ("applications", index, "deployments", 0, "user_config")
            text = (
                f"{dotted(path)}: arm '{arm}' can be reached only through gRPC, which a"
                " splitter does not forward"
            )
            problems.append(Problem(document.location(path), text))
    return problems


def _across_applications(document: Document) -> list[Problem]:
    applications = document.value.get("applications")
    if not isinstance(applications, list):
        return []
    problems = []
    for key, default, what in (
        ("name", "default", "named"),
        ("route_prefix", "/", "on the route"),
    ):
        first: dict[str, int] = {}
        for index, item in enumerate(applications):
            value = item.get(key, default) if isinstance(item, dict) else None
            if not isinstance(value, str):
                continue
            if value in first:
                path: KeyPath = ("applications", index, key)
                other = document.location(("applications", first[value], key))
                text = (
                    f"{dotted(path)}: two applications {what} '{value}' (see {other})"
                )
                problems.append(Problem(document.location(path), text))
            first.setdefault(value, index)
    return problems


class _Reader:
    """A converter from a valid document to applications that collects problems."""

    def __init__(self, document: Document, folder: Path) -> None:
        self.problems: list[Problem] = []
        self._document = document
        self._folder = folder

    def application(self, item: dict[str, Any], index: int) -> Application:
        """Return the application of an entry, with added default keys."""
        at: KeyPath = ("applications", index)
        item.setdefault("name", "default")
        item.setdefault("route_prefix", "/")
        if ":" not in item["import_path"]:  # Ray also takes module.attribute
            item["import_path"] = ":".join(item["import_path"].rsplit(".", 1))
        directory = self._directory(item, at)
        self._inline_files(item, at)
        facts = self._facts(item, at, directory)
        if facts.problem:
            self._report((*at, "import_path"), facts.problem)
        self._check_overrides(item, at, facts)
        for path, text in missing_modules(item, directory) if directory else ():
            self._report((*at, *path), text)
        location = self._document.location((*at, "import_path"))
        return Application(item["name"], item, directory, facts, location)

    def _facts(
        self, item: dict[str, Any], at: KeyPath, directory: Path | None
    ) -> SourceInfo:
        if splitters.is_splitter(item):
            location = self._document.location
            self.problems += splitters.problems(item, at=at, location=location)
        elif directory or _working_dir(item) is None:
            facts = inspect(
                item["import_path"],
                directory=directory,
                beside=self._folder,
                elsewhere=_brings_modules(item.get("runtime_env") or {}),
            )
            return facts if facts.problem else _with_excluded(facts, item, directory)
        return SourceInfo()

    def _directory(self, item: dict[str, Any], at: KeyPath) -> Path | None:
        working_dir = _working_dir(item)
        if working_dir is None or "://" in working_dir:
            return None
        try:
            directory: Path = (self._folder / Path(working_dir).expanduser()).resolve()
            if directory.is_dir():
                return directory
            reason = "is not a directory" if directory.exists() else "does not exist"
            text = f"{directory} {reason}"
        except (OSError, ValueError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or "not a valid directory name"
            text = f"{printable(working_dir)}: {reason.lower()}"
        self._report((*at, "runtime_env", "working_dir"), text)
        return None

    def _inline_files(self, item: dict[str, Any], at: KeyPath) -> None:
        for path, environment in environments(item):
            for key, text in inline_files(environment or {}, folder=self._folder):
                self._report((*at, *path, key), text)

    def _check_overrides(
        self, item: dict[str, Any], at: KeyPath, facts: SourceInfo
    ) -> None:
        if not facts.complete:
            return
        for number, override in enumerate(item.get("deployments") or []):
            name = override["name"]
            if name not in facts.deployments:
                known = ", ".join(sorted(facts.deployments))
                suffix = (
                    did_you_mean(name, facts.deployments) or f"; available: {known}"
                )
                text = f"no deployment '{name}' in {item['import_path']}{suffix}"
                self._report((*at, "deployments", number, "name"), text)

    def _report(self, path: KeyPath, text: str) -> None:
        location = self._document.location(path)
        self.problems.append(Problem(location, f"{dotted(path)}: {text}"))


def _with_excluded(
    facts: SourceInfo, item: dict[str, Any], directory: Path | None
) -> SourceInfo:
    """Add the problem that the package excludes an imported module, if it does."""
    environment = item.get("runtime_env") or {}
    if directory is None or _brings_modules(environment):
        return facts
    problem = excluded_import(
        item["import_path"].partition(":")[0],
        directory=directory,
        excludes=environment.get("excludes") or (),
    )
    return replace(facts, problem=problem)


def _brings_modules(runtime_env: dict[str, Any]) -> bool:
    """Return whether the runtime_env can provide modules from elsewhere."""
    keys = ("pip", "uv", "conda", "py_modules", "py_executable", "image_uri")
    on_path = "PYTHONPATH" in (runtime_env.get("env_vars") or {})
    return on_path or any(runtime_env.get(key) for key in (*keys, "container"))


def _working_dir(item: dict[str, Any]) -> str | None:
    return (item.get("runtime_env") or {}).get("working_dir")
