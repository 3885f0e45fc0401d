"""ServeConfig: a `serve.yaml` checked before any network, every error at once."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raylift.document import Document, read
from raylift.errors import InputFailed, Problem
from raylift.model import refuse, validate
from raylift.wording import did_you_mean, dotted, kind, printable
from serve_runtime.entrypoint import Facts, inspect
from serve_runtime.schema import ServeDeploy
from serve_runtime.traffic import documents as splitter

if TYPE_CHECKING:
    from raylift.document import Place


@dataclass(frozen=True, slots=True)
class Application:
    """One application of a Serve config.

    `document` is the mapping that Ray receives (ServeApplicationSchema); `directory`
    is its local working_dir, not yet packed, or None; `facts` is what its code says
    without being run; `places` maps keys of interest to `file:line`.
    """

    name: str
    document: dict[str, Any]
    directory: Path | None
    facts: Facts
    place: str

    def with_document(self, document: dict[str, Any]) -> Application:
        """The same application with another document."""
        return replace(self, document=document)


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """A whole file: its applications, and the options of the Serve instance."""

    applications: list[Application]
    options: dict[str, Any]


def load(path: Path, *, name: str) -> ServeConfig:
    """Read and check a Serve config file.

    Raises:
        InputFailed: with everything that is wrong in the file or its code.
    """
    return check(read(path, name=name), folder=path.resolve().parent)


def from_import_path(
    import_path: str, *, name: str, route_prefix: str | None, folder: Path
) -> ServeConfig:
    """The config of `raylift deploy module:app`: code from the current folder."""
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
    except InputFailed as failed:
        own = [p.text.removeprefix("applications[0].") for p in failed.problems]
        problems = [Problem("command line", text) for text in own]
        raise InputFailed(*problems, hint=failed.hint) from None


def check(document: Document, *, folder: Path) -> ServeConfig:
    """A parsed document as a ServeConfig; relative paths are taken from `folder`."""
    if not isinstance(document.value, dict):
        text = f"must be a mapping, not {kind(document.value)}"
        raise InputFailed.at(document.name, text)
    if "import_path" in document.value and "applications" not in document.value:
        text = (
            "import_path: this is the form for a single application; put it, with all"
            " that belongs to it, in a list under applications:"
        )
        raise InputFailed.at(document.place(("import_path",)), text)
    model, problems = validate(ServeDeploy, document.value, place=document.place)
    problems += _across_applications(document)
    refuse(problems)
    assert model is not None  # noqa: S101 a model and a problem never come together
    value = copy.deepcopy(document.value)
    found: list[Problem] = []
    applications = [
        _application(item, index, document=document, folder=folder, problems=found)
        for index, item in enumerate(value.pop("applications"))
    ]
    refuse(found)
    return ServeConfig(applications, value)


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
                path: Place = ("applications", index, key)
                other = document.place(("applications", first[value], key))
                text = (
                    f"{dotted(path)}: two applications {what} '{value}' (see {other})"
                )
                problems.append(Problem(document.place(path), text))
            first.setdefault(value, index)
    return problems


def _application(
    item: dict[str, Any],
    index: int,
    *,
    document: Document,
    folder: Path,
    problems: list[Problem],
) -> Application:
    at: Place = ("applications", index)
    item.setdefault("name", "default")
    item.setdefault("route_prefix", "/")
    directory = _directory(
        item, at, document=document, folder=folder, problems=problems
    )
    place = document.place((*at, "import_path"))
    facts = Facts()
    if splitter.is_splitter(item):
        problems += splitter.problems(item, at=at, place=document.place)
    elif directory or _working_dir(item) is None:
        facts = inspect(
            item["import_path"],
            directory=directory,
            beside=folder,
            elsewhere=_brings_modules(item.get("runtime_env") or {}),
        )
    if facts.problem:
        text = f"{dotted((*at, 'import_path'))}: {facts.problem}"
        problems.append(Problem(place, text))
    problems += _unknown_overrides(item, at, facts=facts, document=document)
    return Application(item["name"], item, directory, facts, place)


def _directory(
    item: dict[str, Any],
    at: Place,
    *,
    document: Document,
    folder: Path,
    problems: list[Problem],
) -> Path | None:
    given = _working_dir(item)
    if given is None or "://" in given:
        return None
    try:
        directory: Path = (folder / Path(given).expanduser()).resolve()
        if directory.is_dir():
            return directory
        missing = "is not a directory" if directory.exists() else "does not exist"
        wrong = f"{directory} {missing}"
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "no name of a folder"
        wrong = f"{printable(given)}: {reason.lower()}"
    path = (*at, "runtime_env", "working_dir")
    problems.append(Problem(document.place(path), f"{dotted(path)}: {wrong}"))
    return None


def _brings_modules(runtime_env: dict[str, Any]) -> bool:
    """Whether code may come from where it cannot be read here."""
    keys = ("pip", "uv", "conda", "py_modules", "py_executable", "image_uri")
    on_path = "PYTHONPATH" in (runtime_env.get("env_vars") or {})
    return on_path or any(runtime_env.get(key) for key in (*keys, "container"))


def _working_dir(item: dict[str, Any]) -> str | None:
    return (item.get("runtime_env") or {}).get("working_dir")


def _unknown_overrides(
    item: dict[str, Any], at: Place, *, facts: Facts, document: Document
) -> list[Problem]:
    if not facts.complete:
        return []
    problems = []
    for number, override in enumerate(item.get("deployments") or []):
        if override["name"] in facts.deployments:
            continue
        path = (*at, "deployments", number, "name")
        meant = did_you_mean(override["name"], facts.deployments)
        text = (
            f"{dotted(path)}: no deployment '{override['name']}' in"
            f" {item['import_path']}{meant or '; it has'}"
            f" {'' if meant else ', '.join(sorted(facts.deployments))}"
        )
        problems.append(Problem(document.place(path), text.rstrip()))
    return problems
