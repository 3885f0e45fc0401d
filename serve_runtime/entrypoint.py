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
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from raylift.wording import did_you_mean

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
    graph = _Graph(tree)
    complete = not rest and graph.follow(first) and bool(graph.found)
    return Facts(graph.found if complete else {}, complete=complete)


def _top_level_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        names.update(_binds(node))
        match node:
            case ast.Call(func=ast.Name(id="globals" | "exec" | "vars")):
                names.add("*")
    return names


class _Graph:
    """Which deployments of a module an application binds, as far as it is plain.

    Plain is `A.bind(B.options(num_replicas=2).bind(), 3)` with names that the module
    defines once, also as what a builder function returns; a condition, a loop or an
    import make it unknown.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self._definitions: dict[str, list[ast.AST]] = {}
        self._bound: Counter[str] = Counter()
        for node in ast.walk(tree):
            for name in _defined(node):
                self._definitions.setdefault(name, []).append(node)
            self._bound.update(_binds(node))
        self._top = set(map(id, tree.body))
        self._followed: set[str] = set()
        self._binds: dict[str, int] = {}
        self._local: dict[str, ast.expr] = {}
        self._parameters: set[str] = set()

    def follow(self, name: str) -> bool:
        """Collect the deployments behind a name; False where that is unknown."""
        if name in self._followed:
            return True
        self._followed.add(name)
        match self._only_definition(name):
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                return self._expression(value)
            case ast.FunctionDef(decorator_list=[]) as builder:
                return self._builder(builder)
        return False

    def _builder(self, function: ast.FunctionDef) -> bool:
        """A function of assignments and one return, called by Ray with the `args`."""
        if self._parameters or self._local:
            return False
        self._parameters = {
            argument.arg
            for argument in ast.walk(function.args)
            if isinstance(argument, ast.arg)
        }
        used = set(self._parameters)
        for statement in function.body:
            match statement:
                case ast.Expr(value=ast.Constant()):
                    continue
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    used |= _names_in(value)
                    if name in self._local or name in used:
                        return False
                    self._local[name] = value
                case ast.Return(value=ast.expr() as value):
                    return self._expression(value)
                case _:
                    return False
        return False

    def _only_definition(self, name: str) -> ast.AST | None:
        """What a name of the module means, if nothing else ever binds it."""
        definitions = self._definitions.get(name, [])
        if len(definitions) != 1 or self._bound[name] != 1:
            return None
        return definitions[0] if id(definitions[0]) in self._top else None

    def _expression(self, node: ast.expr) -> bool:
        match node:
            case ast.Constant():
                return True
            case ast.Name(id=name) if name in self._local:
                return self._expression(self._local[name])
            case ast.Name(id=name) if name not in self._parameters:
                return self.follow(name)
            case ast.Call(func=ast.Attribute(value=deployment, attr="bind")):
                inside = [*node.args, *(keyword.value for keyword in node.keywords)]
                bound = self._deployment(deployment, bind=node)
                return bound and all(map(self._expression, inside))
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return all(map(self._expression, items))
            case ast.Dict(values=values):
                return all(map(self._expression, values))
            case ast.UnaryOp(operand=ast.Constant()) | ast.JoinedStr():
                return True
        return self._is_argument(node)

    def _is_argument(self, node: ast.expr) -> bool:
        """Whether a value comes from a builder's arguments alone: no deployment."""
        names = _names_in(node)
        return bool(names) and names <= self._parameters | _PLAIN_CALLS

    def _deployment(self, node: ast.expr, *, bind: ast.Call) -> bool:
        found = self._named(node)
        if found is None:
            return False
        name, settings = found
        # Ray calls what another `.bind()` makes of the same name A_1.
        if self._binds.setdefault(name, id(bind)) != id(bind):
            return False
        self.found[name] = settings
        return True

    def _named(self, node: ast.expr) -> tuple[str, dict[str, Any]] | None:
        """A deployment's name and settings; of `.options(…)` the later ones win."""
        match node:
            case ast.Name(id=name) if name in self._local:
                return self._named(self._local[name])
            case ast.Name(id=name) if name not in self._parameters:
                definition = self._only_definition(name)
                for decorator in getattr(definition, "decorator_list", ()):
                    if _is_deployment(decorator):
                        return _renamed(name, _settings(decorator))
            case ast.Call(func=ast.Attribute(value=inner, attr="options"), args=[]):
                found = self._named(inner)
                if found:
                    return _renamed(found[0], found[1] | _settings(node))
        return None


# What turns an argument into a value, and never into a deployment.
_PLAIN_CALLS = {"bool", "dict", "float", "int", "len", "list", "str"}


def _names_in(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _renamed(name: str, settings: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    given = settings.pop("name", name)
    return None if given is None else (str(given), settings)


def _defined(node: ast.AST) -> list[str]:
    match node:
        case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
            return [node.name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case ast.Import() | ast.ImportFrom():
            return [(a.asname or a.name).split(".")[0] for a in node.names]
    return []


def _binds(node: ast.AST) -> list[str]:
    """Every name that a node binds, also in a loop, a `with` or a tuple."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return [name]
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.MatchMapping(rest=str(name)):
            return [name]
        case ast.Assign() | ast.AnnAssign():
            return []  # by the names in it
    return _defined(node)


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
    except (ValueError, TypeError):  # {[]: 1} reads as a literal and is none
        return None
