"""Pure: a module's syntax tree → which deployments an application of it binds."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import Any


class Graph:
    """Which deployments of a module an application binds, as far as it is plain.

    Plain is `A.bind(B.options(num_replicas=2).bind(), 3)` with names that the module
    defines once, also as what a builder function returns; a condition, a loop or an
    import make it unknown.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.found: dict[str, dict[str, Any]] = {}
        self.no_http = ""
        self._definitions: dict[str, list[ast.AST]] = {}
        self._bound: Counter[str] = Counter()
        for node in ast.walk(tree):
            for name in _defined(node):
                self._definitions.setdefault(name, []).append(node)
            self._bound.update(binds(node))
        self._top = set(map(id, tree.body))
        self._followed: set[str] = set()
        self._binds: set[int] = set()
        self._origins: dict[str, _Deployment] = {}
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
        """Name what a `.bind()` makes as Ray does: A, and where it is bound again A_1.

        Where anything else would get such a name, Ray's order decides: unknown.
        """
        found = self._named(node)
        if found is None:
            return False
        if not self._binds:  # the outermost one: the ingress
            definition = self._only_definition(found.code)
            self.no_http = "" if _answers_http(definition) else found.name
        if id(bind) in self._binds:
            return True
        self._binds.add(id(bind))
        for index in count():
            name = f"{found.name}_{index}" if index else found.name
            if self._origins.setdefault(name, found) != found:
                return False
            if name not in self.found:
                self.found[name] = found.settings
                return True
        return False

    def _named(self, node: ast.expr) -> _Deployment | None:
        """A deployment as a class and its `.options(…)` make it; the later ones win."""
        match node:
            case ast.Name(id=name) if name in self._local:
                return self._named(self._local[name])
            case ast.Name(id=name) if name not in self._parameters:
                definition = self._only_definition(name)
                for decorator in getattr(definition, "decorator_list", ()):
                    if _is_deployment(decorator):
                        plain = _Deployment(name, name, {})
                        return plain.with_settings(_settings(decorator))
            case ast.Call(func=ast.Attribute(value=inner, attr="options"), args=[]):
                found = self._named(inner)
                return found and found.with_settings(_settings(node))
        return None


@dataclass(frozen=True, slots=True)
class _Deployment:
    """A deployment of the class or function `code`, and what it is called."""

    code: str
    name: str
    settings: dict[str, Any]

    def with_settings(self, more: dict[str, Any]) -> _Deployment | None:
        """The same with more settings; None where its name is not known then."""
        settings = self.settings | more
        name = settings.pop("name", self.name)
        return None if name is None else _Deployment(self.code, str(name), settings)


# What turns an argument into a value, and never into a deployment.
_PLAIN_CALLS = {"bool", "dict", "float", "int", "len", "list", "str"}


def _names_in(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


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


def binds(node: ast.AST) -> list[str]:
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


def _answers_http(definition: ast.AST | None) -> bool:
    """Whether Ray's HTTP ingress may find something to call; True where unknown.

    Only a class with methods for somebody else to call, as gRPC does, is known.
    """
    match definition:
        case ast.ClassDef(bases=[], keywords=[], decorator_list=[_], body=body):
            names = {name for statement in body for name in _defined(statement)}
            return "__call__" in names or all(name.startswith("_") for name in names)
    return True


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
