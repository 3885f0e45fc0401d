"""Ignore rules that exclude an imported module, compared with Python's own imports."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylift.serve_runtime.packaging.package import pack
from raylift.serve_runtime.serve_config.excluded_imports import excluded_import


def _write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder.resolve()


def _problem(folder: Path, module: str = "main", excludes: tuple[str, ...] = ()) -> str:
    return excluded_import(module, directory=folder, excludes=excludes)


EXCLUDED = {
    "a module": (
        {"main.py": "\nimport features\n", "features.py": "", ".gitignore": "f*"},
        "main",
        (
            "an ignore rule excludes features.py, which main.py:2 imports; remove the"
            " rule, or add !/features.py to .rayliftignore"
        ),
    ),
    "a directory": (
        {
            "main.py": "from data.store import Store",
            "data/store.py": "",
            ".gitignore": "data/",
        },
        "main",
        (
            "an ignore rule excludes data/store.py, which main.py:1 imports; remove the"
            " rule, or add !/data/ to .rayliftignore"
        ),
    ),
    "a package": (
        {
            "main.py": "import data",
            "data/__init__.py": "",
            "data/store.py": "",
            ".gitignore": "data/",
        },
        "main",
        (
            "an ignore rule excludes data/__init__.py, which main.py:1 imports; remove"
            " the rule, or add !/data/ to .rayliftignore"
        ),
    ),
    "a relative import": (
        {
            "app/__init__.py": "",
            "app/main.py": "from . import model",
            "app/model.py": "from .weights import W",
            "app/weights.py": "W = 1",
            ".rayliftignore": "weights.py",
        },
        "app.main",
        (
            "an ignore rule excludes app/weights.py, which app/model.py:1 imports;"
            " remove the rule, or add !/app/weights.py to .rayliftignore"
        ),
    ),
    "an import of a package from itself": (
        {
            "main.py": "import pkg",
            "pkg/__init__.py": "from pkg import two\nfrom . import two",
            "pkg/two.py": "",
            ".rayignore": "two.py",
        },
        "main",
        (
            "an ignore rule excludes pkg/two.py, which pkg/__init__.py:1 imports;"
            " remove the rule, or add !/pkg/two.py to .rayliftignore"
        ),
    ),
    "the application": (
        {"main.py": "", ".gitignore": "main.py"},
        "main",
        (
            "an ignore rule excludes main.py; remove the rule, or add !/main.py to"
            " .rayliftignore"
        ),
    ),
}


@pytest.mark.parametrize("name", EXCLUDED)
def test_an_excluded_module_is_named_with_the_import(name: str, tmp_path: Path) -> None:
    files, module, message = EXCLUDED[name]
    assert _problem(_write(tmp_path, files), module) == message


def test_the_patterns_of_excludes_count(tmp_path: Path) -> None:
    folder = _write(tmp_path, {"main.py": "import features", "features.py": ""})
    assert _problem(folder, excludes=("features.py",)).endswith(
        "/features.py to .rayliftignore"
    )


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    import features\nexcept ImportError:\n    features = None",
        "def later():\n    import features",
        "if False:\n    import features",
        "import typer",  # installed, so the excluded file with its name is not needed
        "import json",
        "from app import features",  # an attribute of the package hides the module
        "syntax error",
        "import fast",  # a compiled module with this name is in the package
        "import plain",  # the directory is a namespace package
        "import own",  # its own attribute hides the module
        "from star import features",  # star imports all names of another module
        "import sys\nsys.path.insert(0, 'vendor')\nimport features",
    ],
)
def test_an_import_that_may_succeed_is_no_problem(code: str, tmp_path: Path) -> None:
    files = {
        "main.py": code,
        "features.py": "",
        "typer.py": "",
        "json.py": "",
        "app/__init__.py": "features = 1",
        "app/features.py": "",
        "own/__init__.py": "features = 1\nfrom . import features",
        "own/features.py": "",
        "fast.py": "",
        "fast.cpython-311-x86_64-linux-gnu.so": "",
        "plain.py": "",
        "plain/part.py": "",
        "star/__init__.py": "from .impl import *",
        "star/impl.py": "features = 1",
        "star/features.py": "",
        ".gitignore": "features.py\ntyper.py\njson.py\nfast.py\nplain.py",
    }
    assert _problem(_write(tmp_path, files)) == ""


_MODULES = (
    "one.py",
    "two.py",
    "pkg/__init__.py",
    "pkg/one.py",
    "pkg/two.py",
    "ns/a.py",
)
_IMPORTS = (
    "import one",
    "import two",
    "import pkg",
    "import pkg.one",
    "import ns.a",
    "from pkg import two",
    "from ns import a",
    "from pkg.two import __name__",
)
_RELATIVE = ("from . import one", "from .two import __doc__")
_RULES = (*_MODULES, "/one.py", "pkg/", "ns", "*.py", "!main.py", "!/pkg/", "t*")


@st.composite
def _trees(draw: st.DrawFn) -> dict[str, str]:
    files = {}
    for name in ("main.py", *_MODULES):
        known = _IMPORTS + (_RELATIVE if name.startswith("pkg/") else ())
        files[name] = "\n".join(draw(st.lists(st.sampled_from(known), max_size=2)))
    for name in (".gitignore", ".rayliftignore", ".rayignore"):
        rules = draw(st.lists(st.sampled_from(_RULES), max_size=2))
        files[name] = "\n".join(rules)
    return files


@given(files=_trees())
@settings(max_examples=60)
def test_a_problem_is_reported_if_python_cannot_import_the_package(
    files: dict[str, str],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = _write(Path(name) / "app", {**files, "data.txt": ""})
        package = pack(folder, store=Path(name) / "store", location="serve.yaml:1")
        unpacked = Path(name) / "unpacked"
        zipfile.ZipFile(package.path).extractall(unpacked)
        imported = subprocess.run(
            [sys.executable, "-c", "import main"],
            check=False,
            cwd=unpacked,
            capture_output=True,
        )
        problem = _problem(folder)
        # An excluded __init__.py turns its directory into a namespace package.
        is_whole = (unpacked / "pkg/__init__.py").exists()
        if problem or is_whole:
            assert bool(problem) == (imported.returncode != 0), imported.stderr
