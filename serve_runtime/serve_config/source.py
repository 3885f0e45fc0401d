"""Facts about an application's code, read from its source without running it.

Ray reports a bad import path after 2 to 6 s, from a worker. Reading the source
immediately detects a missing module, a syntax error or a missing attribute. It also
finds the settings of deployments in code, which raylift's defaults must not override.
"""

from __future__ import annotations

import ast
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raylift.messages import did_you_mean, os_reason
from raylift.serve_runtime.serve_config.bind_graph import BindGraph, binds
from raylift.serve_runtime.serve_config.modules import find, is_installed, parse

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """Facts about the code behind an import path.

    `deployments` maps the name of a deployment to its settings in code; the value of a
    setting that is not a literal is None. If `complete` is true, there are no other
    deployments; only then can an unknown name be an error, or a default be added.
    `no_http` names the ingress deployment if HTTP cannot call it. `problem` states why
    the import must fail, or is empty.
    """

    deployments: dict[str, dict[str, Any]] = field(default_factory=dict)
    complete: bool = False
    no_http: str = ""
    problem: str = ""


def inspect(
    import_path: str, *, directory: Path | None, beside: Path, elsewhere: bool = False
) -> SourceInfo:
    """Read the module of an import path.

    Args:
        import_path: `module:attribute`.
        directory: The application's local working_dir, or None.
        beside: The directory of the config file, for a hint about a missing
            working_dir.
        elsewhere: Whether the runtime_env can provide modules from other sources.
    """
    module, _, attribute = import_path.partition(":")
    if directory is None:
        if not elsewhere and find(beside, module):
            return SourceInfo(
                problem=f"{module} is next to this file, but Ray does not search there;"
                " add runtime_env: {working_dir: .} to the application"
            )
        return SourceInfo()
    path = find(directory, module)
    if path is None:
        return SourceInfo() if elsewhere else _missing(module, directory)
    name = str(path.relative_to(directory))
    try:
        tree = parse(path)
    except SyntaxError as error:
        where = f"{name}:{error.lineno}" if error.lineno else name
        return SourceInfo(problem=f"{where}: syntax error: {error.msg}")
    except OSError as error:
        why = os_reason(error)
        return SourceInfo(problem=f"{name}: cannot be read: {why}")
    except (ValueError, RecursionError, MemoryError) as error:
        return SourceInfo(
            problem=f"{name}: cannot be read: {str(error) or 'nested too deeply'}"
        )
    return _facts(tree, attribute, module=module)


def _missing(module: str, directory: Path) -> SourceInfo:
    top = module.split(".", maxsplit=1)[0]
    base = directory.joinpath(*module.split("."))
    beside = base.parent.glob(f"{base.name}.*") if os.path.isdir(base.parent) else ()  # noqa: PTH112 as above
    compiled = any(path.suffix == ".so" for path in beside)
    known = {path.stem for path in directory.glob("*.py")}
    known |= {path.parent.name for path in directory.glob("*/__init__.py")}
    if compiled or (top not in known and is_installed(top)):
        return SourceInfo()
    meant = did_you_mean(top, known - {top, "__init__"})
    if module == f"{top}.py":
        meant = f"; use the module name, not the file name: {top}"
    return SourceInfo(problem=f"no module '{module}' in {directory}{meant}")


def _facts(tree: ast.Module, attribute: str, *, module: str) -> SourceInfo:
    names = _top_level_names(tree)
    first, _, rest = attribute.partition(".")
    if first not in names:
        if names & {"*", "__getattr__"}:
            return SourceInfo()
        meant = did_you_mean(first, names)
        return SourceInfo(problem=f"no '{first}' in module {module}{meant}")
    graph = BindGraph(tree)
    complete = not rest and graph.follow(first) and bool(graph.deployments)
    if not complete:
        return SourceInfo()
    return SourceInfo(graph.deployments, complete=True, no_http=graph.no_http)


def _top_level_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        names.update(binds(node))
        match node:
            case ast.Call(func=ast.Name(id="globals" | "exec" | "vars")):
                names.add("*")
    return names
