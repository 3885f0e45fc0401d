"""Modules that an application imports at startup and that its package excludes.

Python's import system decides at run time, so only certain failures are reported: the
import is a statement at the top level of a module, the excluded file is in the
application's directory, and Python cannot find the module elsewhere.
"""

from __future__ import annotations

import ast
import itertools
import re
import sys
from typing import TYPE_CHECKING, NamedTuple

from raylift.serve_runtime.packaging.exclusions import Exclusions
from raylift.serve_runtime.serve_config.bind_graph import binds
from raylift.serve_runtime.serve_config.modules import find, is_installed, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

# Code that changes where Python searches makes the result unknown.
_SEARCHES = re.compile(rb"\bsys\.(path|meta_path|modules)\b|\baddsitedir\b")


class _Import(NamedTuple):
    """An import of a module; `at` is the `file:line` of the statement, or empty."""

    module: str
    at: str = ""


def excluded_import(module: str, *, directory: Path, excludes: Iterable[str]) -> str:
    """Return the problem with the first excluded module, or "".

    Args:
        module: The module that Ray imports.
        directory: The application's local working_dir, an absolute path without links.
        excludes: The patterns of `runtime_env.excludes`.
    """
    exclusions = Exclusions(
        str(directory),
        leave_out="",
        excludes=excludes,
        refuse=lambda *_: None,  # packaging reports ignore files that cannot be read
    )
    modules = _Modules(directory)
    todo = [_Import(part) for part in _with_parents(module)]
    seen: set[Path] = set()
    while todo:
        wanted = todo.pop(0)
        path = modules.source(wanted.module)
        if path is None or path in seen:
            continue
        seen.add(path)
        name = path.relative_to(directory).as_posix()
        excluded = exclusions.excluded_part(name)
        if excluded and not _may_be_elsewhere(wanted.module, path, excluded):
            return _problem(wanted, name, excluded)
        if not excluded:
            if modules.searches_elsewhere(path):
                return ""
            todo += modules.imports(path, name, wanted.module)
    return ""


def _problem(wanted: _Import, name: str, excluded: str) -> str:
    importer = f", which {wanted.at} imports" if wanted.at else ""
    return (
        f"an ignore rule excludes {name}{importer}; remove the rule, or add"
        f" !/{excluded} to .rayliftignore"
    )


def _may_be_elsewhere(module: str, path: Path, excluded: str) -> bool:
    """Return whether Python may find a module whose file is excluded."""
    if is_installed(module.partition(".")[0]):
        return True
    if path.name == "__init__.py":
        # Without this file, its directory is a namespace package.
        is_namespace = excluded.endswith("__init__.py")
        return is_namespace or path.parent.with_suffix(".py").is_file()
    base = path.with_suffix("")
    compiled = [*base.parent.glob(f"{base.name}.*.so"), base.with_suffix(".so")]
    return base.is_dir() or any(each.is_file() for each in compiled)


def _with_parents(module: str) -> Iterator[str]:
    """Yield 'a', 'a.b' and 'a.b.c' for 'a.b.c'."""
    parts = module.split(".")
    return (".".join(parts[: end + 1]) for end in range(len(parts)))


class _Modules:
    """The modules of a directory, each of which is parsed once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._statements: dict[Path, list[ast.stmt]] = {}
        self._attributes: dict[Path, list[tuple[ast.stmt, set[str]]]] = {}

    def source(self, module: str) -> Path | None:
        """Return the file of a module, if Python searches for it in the directory."""
        top = module.partition(".")[0]
        # The worker process has already imported most of the standard library.
        if not top or top in sys.stdlib_module_names:
            return None
        return find(self._directory, module)

    def searches_elsewhere(self, path: Path) -> bool:
        """Return whether a module changes where Python searches for modules."""
        try:
            return bool(_SEARCHES.search(path.read_bytes()))
        except OSError:
            return True

    def imports(self, path: Path, name: str, module: str) -> list[_Import]:
        """Return the modules that a module imports whenever it is imported."""
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        return [
            _Import(part, f"{name}:{statement.lineno}")
            for statement in self._parsed(path)
            for imported in self._imported(statement, package)
            for part in _with_parents(imported)
        ]

    def _imported(self, statement: ast.stmt, package: str) -> list[str]:
        match statement:
            case ast.Import(names=names):
                return [alias.name for alias in names]
            case ast.ImportFrom(module=module, names=names, level=level):
                base = _absolute(module or "", level, package)
                attributes = self._bound(base, statement)
                if attributes & {"*", "__getattr__"}:
                    return [base]
                submodules = [a.name for a in names if a.name not in attributes]
                return [base, *(f"{base}.{name}" for name in submodules)]
        return []

    def _bound(self, package: str, before: ast.stmt) -> set[str]:
        """Return the names that a package binds, which hide its submodules.

        If the package contains the statement `before`, only the names that it has bound
        by then count.
        """
        path = self.source(package)
        if path is None:
            return set()
        if path not in self._attributes:
            self._attributes[path] = [(s, _names(s)) for s in self._parsed(path)]
        bound = itertools.takewhile(
            lambda b: b[0] is not before, self._attributes[path]
        )
        return {name for _, names in bound for name in names}

    def _parsed(self, path: Path) -> list[ast.stmt]:
        """Return the top-level statements of a module, [] if it cannot be parsed."""
        if path not in self._statements:
            try:
                self._statements[path] = parse(path).body
            except (SyntaxError, OSError, ValueError, RecursionError, MemoryError):
                self._statements[path] = []
        return self._statements[path]


def _names(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds, also in the functions in it."""
    return {name for node in ast.walk(statement) for name in binds(node)}


def _absolute(module: str, level: int, package: str) -> str:
    """Return the absolute name of the module in `from ..module import name`."""
    if not level:
        return module
    parents = package.split(".")
    kept = parents[: len(parents) - level + 1]
    return ".".join([*kept, module] if module else kept)
