"""What an application's code says about itself, read and never run.

Ray answers an import path that cannot work after 2 to 6 seconds, from a worker.
Reading the source finds a missing module, a syntax error and a missing attribute at
once, and tells which settings the code gives its deployments, so that no default of
ours ever overrides one.
"""

from __future__ import annotations

import ast
import os
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raylift.wording import did_you_mean
from serve_runtime.bindings import Graph, binds

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read.

    `deployments` maps a deployment's name to the settings that its decorator gives
    it; a value that is no literal is None. `complete` says that nothing else can
    exist: only then may a name that is not there be called an error, or a default be
    added. `no_http` names the ingress where it has nothing that HTTP could call.
    `problem` is why the import cannot work.
    """

    deployments: dict[str, dict[str, Any]] = field(default_factory=dict)
    complete: bool = False
    no_http: str = ""
    problem: str = ""


def inspect(
    import_path: str, *, directory: Path | None, beside: Path, elsewhere: bool = False
) -> Facts:
    """Read the module that an import path names.

    Args:
        import_path: `module:attribute`.
        directory: The application's local working_dir; None if it has none.
        beside: The folder of the config file, for a hint where a working_dir is
            missing.
        elsewhere: Whether the runtime_env brings modules of its own, so that one
            which is not here may be there.
    """
    module, _, attribute = import_path.partition(":")
    if directory is None:
        if not elsewhere and _source(beside, module):
            return Facts(
                problem=f"{module} lies beside this file, but Ray does not look there;"
                " add runtime_env: {working_dir: .} to the application"
            )
        return Facts()
    path = _source(directory, module)
    if path is None:
        return Facts() if elsewhere else _missing(module, directory)
    name = str(path.relative_to(directory))
    try:
        tree = _parse(path)
    except SyntaxError as error:
        where = f"{name}:{error.lineno}" if error.lineno else name
        return Facts(problem=f"{where}: syntax error: {error.msg}")
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return Facts(problem=f"{name}: cannot be read: {why}")
    except (ValueError, RecursionError, MemoryError) as error:
        return Facts(problem=f"{name}: cannot be read: {str(error) or 'too deep'}")
    return _facts(tree, attribute, module=module)


def _parse(path: Path) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the user's code; Ray's log has them
        return ast.parse(path.read_bytes(), filename=str(path))


def _source(directory: Path, module: str) -> Path | None:
    base = directory.joinpath(*module.split("."))
    for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
        if os.path.isfile(path):  # noqa: PTH113 False, too, for a name too long
            return path
    return None


def _missing(module: str, directory: Path) -> Facts:
    top = module.split(".", maxsplit=1)[0]
    base = directory.joinpath(*module.split("."))
    beside = base.parent.glob(f"{base.name}.*") if os.path.isdir(base.parent) else ()  # noqa: PTH112 as above
    compiled = any(path.suffix == ".so" for path in beside)
    known = {path.stem for path in directory.glob("*.py")}
    known |= {path.parent.name for path in directory.glob("*/__init__.py")}
    if compiled or (top not in known and _installed(top)):
        return Facts()
    meant = did_you_mean(top, known - {top, "__init__"})
    if module == f"{top}.py":
        meant = f"; name the module, not its file: {top}"
    return Facts(problem=f"no module '{module}' in {directory}{meant}")


def _installed(name: str) -> bool:
    import importlib.util

    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _facts(tree: ast.Module, attribute: str, *, module: str) -> Facts:
    names = _top_level_names(tree)
    first, _, rest = attribute.partition(".")
    if first not in names:
        if names & {"*", "__getattr__"}:
            return Facts()
        meant = did_you_mean(first, names)
        return Facts(problem=f"no '{first}' in module {module}{meant}")
    graph = Graph(tree)
    complete = not rest and graph.follow(first) and bool(graph.found)
    if not complete:
        return Facts()
    return Facts(graph.found, complete=True, no_http=graph.no_http)


def _top_level_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        names.update(binds(node))
        match node:
            case ast.Call(func=ast.Name(id="globals" | "exec" | "vars")):
                names.add("*")
    return names
