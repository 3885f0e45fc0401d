"""What an application's code says about itself, read and never run.

Ray answers an import path that cannot work after 2 to 6 seconds, from a worker.
Reading the source finds a missing module, a syntax error and a missing attribute at
once, and tells which settings the code gives its deployments, so that no default of
ours ever overrides one.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raylift.model import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Facts:
    """What was read.

    `deployments` maps a deployment's name to the settings that its decorator gives
    it; a value that is no literal is None. `complete` says that nothing else can
    exist: only then may a name that is not there be called an error, or a default be
    added. `problem` is why the import cannot work.
    """

    deployments: dict[str, dict[str, Any]] = field(default_factory=dict)
    complete: bool = False
    problem: str = ""


def inspect(import_path: str, *, directory: Path | None, beside: Path) -> Facts:
    """Read the module that an import path names.

    Args:
        import_path: `module:attribute`.
        directory: The application's local working_dir; None if it has none.
        beside: The folder of the config file, for a hint where a working_dir is
            missing.
    """
    module, _, attribute = import_path.partition(":")
    if directory is None:
        if _source(beside, module) and not _source(beside, module.split(".")[0] + ".x"):
            return Facts(
                problem=f"{module} lies beside this file, but Ray does not see it there;"
                " add runtime_env: {working_dir: .} to the application"
            )
        return Facts()
    path = _source(directory, module)
    if path is None:
        return _missing(module, directory)
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        where = f"{path.relative_to(directory)}:{error.lineno}"
        return Facts(problem=f"{where}: syntax error: {error.msg}")
    except (OSError, ValueError, RecursionError) as error:
        return Facts(problem=f"{path.relative_to(directory)}: cannot be read: {error}")
    return _facts(tree, attribute, module=module)


def _source(directory: Path, module: str) -> Path | None:
    base = directory.joinpath(*module.split("."))
    for path in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _missing(module: str, directory: Path) -> Facts:
    top = module.split(".", maxsplit=1)[0]
    here = directory / top
    if not here.exists() and not here.with_suffix(".py").exists():
        modules = [path.stem for path in directory.glob("*.py")]
        meant = did_you_mean(top, modules)
        # It may be a package that is installed where Ray runs: only a near miss of a
        # file that is here is surely a typo.
        if meant or not _installed(top):
            return Facts(problem=f"no module '{module}' in {directory}{meant}")
    elif "." in module and here.is_dir():
        return Facts(problem=f"no module '{module}' in {directory}")
    return Facts()


def _installed(name: str) -> bool:
    import importlib.util  # noqa: PLC0415 rarely needed

    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _facts(tree: ast.Module, attribute: str, *, module: str) -> Facts:
    names = _top_level_names(tree)
    dynamic = "*" in names or "__getattr__" in names
    first = attribute.split(".")[0]
    if first not in names and not dynamic:
        meant = did_you_mean(first, names)
        return Facts(problem=f"no '{first}' in module {module}{meant}")
    deployments: dict[str, dict[str, Any]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for decorator in node.decorator_list:
                if _is_deployment(decorator):
                    settings = _settings(decorator)
                    deployments[str(settings.pop("name", None) or node.name)] = settings
    return Facts(deployments, complete=bool(deployments) and not _more(tree))


def _top_level_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Import() | ast.ImportFrom():
                names.update((a.asname or a.name).split(".")[0] for a in node.names)
    return names


def _is_deployment(decorator: ast.expr) -> bool:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    name = target.attr if isinstance(target, ast.Attribute) else None
    return (name or getattr(target, "id", None)) == "deployment"


def _settings(decorator: ast.expr) -> dict[str, Any]:
    if not isinstance(decorator, ast.Call):
        return {}
    return {
        keyword.arg or "**": _literal(keyword.value) for keyword in decorator.keywords
    }


def _literal(node: ast.expr) -> Any:  # noqa: ANN401 any literal
    try:
        return ast.literal_eval(node)
    except ValueError:
        return None


def _more(tree: ast.Module) -> bool:
    """Whether deployments may come from elsewhere or change their settings."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="options")):
                return True
            case ast.Call(func=ast.Attribute(attr="deployment")) if node.args:
                return True
            case ast.ImportFrom(level=level) if level:
                return True
            case ast.ImportFrom(module=name) if name and not _known(name):
                return True
            case ast.Import() if not all(_known(a.name) for a in node.names):
                return True
            case ast.keyword(arg=None):
                return True
    return False


def _known(module: str) -> bool:
    """Modules that define no deployment of an application."""
    import sys  # noqa: PLC0415

    top = module.split(".")[0]
    if module.startswith("ray.serve.llm"):
        return False
    return top in sys.stdlib_module_names or top in _LIBRARIES


_LIBRARIES = {
    "fastapi", "jax", "numpy", "pandas", "pydantic", "ray", "requests", "sklearn",
    "starlette", "torch", "transformers", "vllm", "httpx", "aiohttp", "PIL",
}  # fmt: skip
