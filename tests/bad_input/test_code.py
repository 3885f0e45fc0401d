"""Import paths that cannot work, detected in the source."""

# ruff: noqa: E501 a case is a line

from __future__ import annotations

import json

import pytest

# files (None deletes one), import path, message
BROKEN = {
    "a module that is not there": ({}, "mian:app", "no module 'mian' in"),
    "a near miss of a module": ({}, "mian:app", "; did you mean main?"),
    "a module in capitals": ({}, "Main:app", "; did you mean main?"),
    "a near miss of a package": ({"pkg/__init__.py": ""}, "pgk:app", "; did you mean pkg?"),
    "a part of a module": ({}, "main.sub:app", "no module 'main.sub' in"),
    "a part of a package": ({"pkg/__init__.py": ""}, "pkg.sub:app", "no module 'pkg.sub' in"),
    "a file for a module": ({}, "main.py:app", "no module 'main.py' in"),
    "a keyword": ({}, "class:app", "no module 'class' in"),
    "a module of 300 letters": ({}, f"{'a' * 300}:app", "no module 'aaa"),
    "a folder without code": ({"main.py": None, "main/x.txt": ""}, "main:app", "no module 'main' in"),
    "an attribute that is not there": ({"main.py": "x = 1\n"}, "main:app", "no 'app' in module main"),
    "a near miss of an attribute": ({"main.py": "apps = 1\n"}, "main:app", "; did you mean apps?"),
    "an empty module": ({"main.py": ""}, "main:app", "no 'app' in module main"),
    "a package before a module": ({"main/__init__.py": "x = 1\n"}, "main:app", "no 'app' in module main"),
    "a syntax error": ({"main.py": "x = 1\ndef f(:\n"}, "main:app", "main.py:2: syntax error"),
    "a syntax error in a package": ({"pkg/a.py": "x =\n"}, "pkg.a:app", "pkg/a.py:1: syntax error"),
    "an open bracket": ({"main.py": "app = (\n"}, "main:app", "'(' was never closed"),
    "a merge conflict": ({"main.py": "<<<<<<< HEAD\napp = 1\n"}, "main:app", "main.py:1: syntax error"),
    "Python 2": ({"main.py": "print 'a'\n"}, "main:app", "Missing parentheses"),
    "tabs and spaces": ({"main.py": "def f():\n\tx\n        y\n"}, "main:app", "main.py:3: syntax error"),
    "a NUL byte": ({"main.py": b"app = 1\0\n"}, "main:app", "main.py: "),
    "an unknown encoding": ({"main.py": "# coding: nope\napp = 1\n"}, "main:app", "main.py: syntax error: unknown encoding: nope"),
    "501 brackets": ({"main.py": f"app = {'(' * 501}{')' * 501}\n"}, "main:app", "too many nested parentheses"),
    "50,000 pluses": ({"main.py": f"app = 1{'+1' * 50_000}\n"}, "main:app", "main.py: cannot be read: "),
    "50,000 minuses": ({"main.py": f"app = {'-' * 50_000}1\n"}, "main:app", "main.py: cannot be read: nested too deeply"),
    "an import of an ignored module": ({"main.py": "import store\napp = 1\n", "store.py": "", ".gitignore": "store.py\n"}, "main:app", "an ignore rule excludes store.py, which main.py:1 imports; remove the rule"),
    "an import of an ignored folder": ({"main.py": "from data import store\napp = 1\n", "data/store.py": "", ".gitignore": "/data\n"}, "main:app", "or add !/data/ to .rayliftignore"),
    "an ignored module": ({".rayignore": "*.py\n"}, "main:app", "an ignore rule excludes main.py; remove the rule"),
}  # fmt: skip


def _config(import_path, *, deployments=(), **runtime_env):
    application = {
        "import_path": import_path,
        "runtime_env": {"working_dir": ".", **runtime_env},
        "deployments": [{"name": name} for name in deployments],
    }
    return json.dumps({"applications": [application]})


@pytest.mark.parametrize("name", BROKEN)
def test_code_that_cannot_be_imported_is_one_error_at_its_import_path(project, name):
    files, import_path, expected = BROKEN[name]
    project.write(**{"serve.yaml": _config(import_path), **files})
    errors = project.refused("deploy")
    assert len(errors) == 1
    assert errors[0].startswith("serve.yaml:1: applications[0].import_path: ")
    assert expected in errors[0]


# Code that may work where Ray runs is accepted; the command fails at the stack.
MAY_WORK = {
    "a package that is installed": ({}, "ray.serve.llm:build_openai_app", {}),
    "one like a file that is here": ({"ray_app.py": ""}, "ray.serve.llm:build_openai_app", {}),
    "a package of pip's": ({}, "models:app", {"pip": ["models"]}),
    "a package of conda's": ({}, "models:app", {"conda": "env"}),
    "a module of another package": ({}, "models:app", {"py_modules": ["s3://b/m.zip"]}),
    "a module of an image": ({}, "models:app", {"image_uri": "x", "working_dir": None}),
    "a module on the path": ({"src/m.py": ""}, "m:app", {"env_vars": {"PYTHONPATH": "src"}}),
    "a compiled module": ({"m.cpython-311-x86_64-linux-gnu.so": ""}, "m:app", {}),
    "a package without __init__": ({"pkg/m.py": "app = 1\n"}, "pkg.m:app", {}),
    "Latin-1, as it says": ({"main.py": b"# coding: latin-1\n# caf\xe9\napp = 1\n"}, "main:app", {}),
    "a byte order mark": ({"main.py": "\ufeffapp = 1\n"}, "main:app", {}),
    "an odd escape": ({"main.py": 'app = "\\d"\n'}, "main:app", {}),
    "an attribute of an attribute": ({}, "main:app.x", {}),
    "a name by an import of all": ({"main.py": "from x import *\n"}, "main:app", {}),
    "a name by import": ({"main.py": "from x import y as app\n"}, "main:app", {}),
    "a name by __getattr__": ({"main.py": "def __getattr__(n): return n\n"}, "main:app", {}),
    "a name by globals": ({"main.py": "globals()['app'] = 1\n"}, "main:app", {}),
    "a name by with": ({"main.py": "with f() as app: pass\n"}, "main:app", {}),
    "a name by for": ({"main.py": "for app in f(): pass\n"}, "main:app", {}),
    "a name in a tuple": ({"main.py": "x, (app, *y) = f()\n"}, "main:app", {}),
    "a name by match": ({"main.py": "match f():\n    case [app, *_]: pass\n"}, "main:app", {}),
    "a name by :=": ({"main.py": "print(app := f())\n"}, "main:app", {}),
    "a name in a branch": ({"main.py": "if f():\n    app = 1\n"}, "main:app", {}),
    "a name by global": ({"main.py": "def f():\n    global app\n    app = 1\nf()\n"}, "main:app", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", MAY_WORK)
def test_code_that_may_work_where_ray_runs_is_not_called_wrong(project, name):
    files, import_path, runtime_env = MAY_WORK[name]
    project.write(**{"serve.yaml": _config(import_path, **runtime_env), **files})
    assert project.refused("deploy", code=3) == ["stack 'local' is not up"]


START = "from ray import serve\n@serve.deployment\nclass A: pass\n"
OVERRIDES = {
    "a near miss": (START + "app = A.bind()\n", "a", "; did you mean A?"),
    "nothing like it": (START + "app = A.bind()\n", "Other", "no deployment 'Other' in main:app; available: A"),
    "one that is not bound": (START + "@serve.deployment\nclass B: pass\napp = A.bind()\n", "B", "no deployment 'B'"),
    "its class, not its name": (START.replace("deployment", "deployment(name='x')", 1) + "app = A.bind()\n", "A", "available: x"),
    "of a function": ("from ray import serve\n@serve.deployment\ndef f(r): pass\napp = f.bind()\n", "g", "available: f"),
    "of a setting that is no literal": (START.replace("deployment", "deployment(user_config={[]: 1})", 1) + "app = A.bind()\n", "B", "available: A"),
}  # fmt: skip


@pytest.mark.parametrize("name", OVERRIDES)
def test_an_override_of_no_deployment_is_one_error_with_what_there_is(project, name):
    code, override, expected = OVERRIDES[name]
    config = _config("main:app", deployments=[override])
    errors = project.write(**{"serve.yaml": config, "main.py": code}).refused("deploy")
    assert len(errors) == 1
    assert "applications[0].deployments[0].name: " in errors[0]
    assert expected in errors[0]


UNKNOWN = {
    "options by an expression": "app = A.options(name=N).bind()\n",
    "a builder with a condition": "def app(args):\n  if args: return A.bind()\n",
    "a name that is an expression": "@serve.deployment(name=N)\nclass B: pass\napp = B.bind()\n",
    "bound again in a loop": "app = A.bind()\nfor app in (1,): pass\n",
    "bound again in a tuple": "app = A.bind()\napp, x = f()\n",
    "changed in place": "app = A.bind()\napp += 1\n",
    "deleted": "app = A.bind()\ndel app\n",
    "arguments from elsewhere": "app = A.bind(*rest)\n",
    "a comprehension": "app = A.bind([B.bind() for B in (A,)])\n",
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_where_code_is_not_plain_no_override_is_called_wrong(project, name):
    config = _config("main:app", deployments=["Whatever"])
    project.write(**{"serve.yaml": config, "main.py": START + UNKNOWN[name]})
    assert project.refused("deploy", code=3) == ["stack 'local' is not up"]


def test_code_beside_the_file_without_a_working_dir_names_the_key(project):
    project.write(**{"serve.yaml": "applications: [{import_path: 'main:app'}]\n"})
    errors = project.refused("deploy")
    assert len(errors) == 1
    assert "add runtime_env: {working_dir: .} to the application" in errors[0]


def test_broken_code_of_every_application_is_told_at_once(project):
    application = "  - {{name: {0}, route_prefix: /{0}, import_path: '{0}:app', runtime_env: {{working_dir: .}}}}\n"
    text = "applications:\n" + "".join(map(application.format, ("x1", "x2", "main")))
    errors = project.write(**{"serve.yaml": text}).refused("deploy")
    assert [error.split(" in ")[0] for error in errors] == [
        "serve.yaml:2: applications[0].import_path: no module 'x1'",
        "serve.yaml:3: applications[1].import_path: no module 'x2'",
    ]
