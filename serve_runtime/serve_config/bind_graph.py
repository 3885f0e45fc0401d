"""The deployments that an application binds, derived from its module's syntax tree."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import Any


class BindGraph:
    """The deployments that an application binds, if the code is simple.

    Simple code has the form `A.bind(B.options(num_replicas=2).bind(), 3)`, with names
    that are defined once, in a module or in a builder function. Conditions, loops and
    imports make the result unknown.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.deployments: dict[str, dict[str, Any]] = {}
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
        """Collect the deployments behind a name; return False if they are unknown."""
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
        """Follow a builder, a function of assignments and one return.

        Ray calls it with the application's `args`.
        """
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
        """Return the definition of a name that the module binds exactly once."""
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
        """Return whether a value depends only on the builder's arguments."""
        names = _names_in(node)
        return bool(names) and names <= self._parameters | _PLAIN_CALLS

    def _deployment(self, node: ast.expr, *, bind: ast.Call) -> bool:
        """Name the deployment of a `.bind()` as Ray does: A, then A_1 if bound again.

        If two deployments compete for a name, Ray's traversal order decides; the
        result is unknown.
        """
        deployment = self._named(node)
        if deployment is None:
            return False
        if not self._binds:  # the outermost one is the ingress
            definition = self._only_definition(deployment.code)
            self.no_http = "" if _answers_http(definition) else deployment.name
        if id(bind) in self._binds:
            return True
        self._binds.add(id(bind))
        for index in count():
            name = f"{deployment.name}_{index}" if index else deployment.name
            if self._origins.setdefault(name, deployment) != deployment:
                return False
            if name not in self.deployments:
                self.deployments[name] = deployment.settings
                return True
        return False

    def _named(self, node: ast.expr) -> _Deployment | None:
        """Return the deployment of a class and its `.options(…)`; the last ones win."""
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
                base = self._named(inner)
                return base and base.with_settings(_settings(node))
        return None


@dataclass(frozen=True, slots=True)
class _Deployment:
    """A deployment of the class or function `code`."""

    code: str
    name: str
    settings: dict[str, Any]

    def with_settings(self, more: dict[str, Any]) -> _Deployment | None:
        """Return a copy with more settings, or None if its name becomes unknown."""
        settings = self.settings | more
        name = settings.pop("name", self.name)
        return None if name is None else _Deployment(self.code, str(name), settings)


# Calls that return a plain value, never a deployment.
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
    """Return the names that a node binds, including loops, `with` and tuples."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return [name]
        case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.MatchMapping(rest=str(name)):
            return [name]
        case ast.Assign() | ast.AnnAssign():
            return []  # their targets are Name nodes
    return _defined(node)


def _answers_http(definition: ast.AST | None) -> bool:
    """Return whether HTTP requests can reach the deployment; True if unknown.

    False only for a class without `__call__` whose public methods serve gRPC.
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
    except (ValueError, TypeError):  # {[]: 1} has the syntax of a literal
        return None
