# ruff: noqa: E501 a case is a line
"""Facts read from an application's source without running it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raylift.serve_runtime.serve_config.source import SourceInfo, inspect

START = "from ray import serve\n"


def _facts(folder: Path, code: str, path: str = "main:app", **more: bool) -> SourceInfo:
    (folder / "main.py").write_text(textwrap.dedent(code))
    return inspect(path, directory=folder, beside=folder, **more)


def test_code_is_read_and_never_run(tmp_path):
    ran = tmp_path / "ran"
    code = f"open({str(ran)!r}, 'w')\nimport nothing_of_that_name\napp = 1\n"
    assert _facts(tmp_path, code).problem == ""
    assert not ran.exists()


PLAIN = {
    "a class": ("@serve.deployment\nclass A: pass\napp = A.bind()", {"A": {}}),
    "a function": ("@serve.deployment\ndef f(r): pass\napp = f.bind()", {"f": {}}),
    "a coroutine": ("@serve.deployment\nasync def f(r): pass\napp = f.bind()", {"f": {}}),
    "called without settings": ("@serve.deployment()\nclass A: pass\napp = A.bind()", {"A": {}}),
    "by a bare name": ("@deployment\nclass A: pass\napp = A.bind()", {"A": {}}),
    "settings": (
        "@serve.deployment(num_replicas=2, ray_actor_options={'num_gpus': 1})\nclass A: pass\napp = A.bind()",
        {"A": {"num_replicas": 2, "ray_actor_options": {"num_gpus": 1}}},
    ),
    "a setting that is no literal": ("@serve.deployment(num_replicas=N)\nclass A: pass\napp = A.bind()", {"A": {"num_replicas": None}}),
    "settings from elsewhere": ("@serve.deployment(**S)\nclass A: pass\napp = A.bind()", {"A": {"**": None}}),
    "a name of its own": ("@serve.deployment(name='x')\nclass A: pass\napp = A.bind()", {"x": {}}),
    "an ingress": ("@serve.deployment\n@serve.ingress(api)\nclass A: pass\napp = A.bind()", {"A": {}}),
    "bound to each other": ("@serve.deployment\nclass A: pass\n@serve.deployment\nclass B: pass\n@serve.deployment\nclass C: pass\napp = A.bind(B.bind(), x=[1, {'y': C.bind()}])", {"A": {}, "B": {}, "C": {}}),
    "bound again, as Ray names it": (
        "@serve.deployment(num_replicas=2)\nclass B: pass\n@serve.deployment\nclass A: pass\nb = B.bind(1)\napp = A.bind(b, b, x=[B.bind(2), {'y': B.bind(3)}])",
        {"A": {}, "B": {"num_replicas": 2}, "B_1": {"num_replicas": 2}, "B_2": {"num_replicas": 2}},
    ),
    "by a variable": ("@serve.deployment\nclass A: pass\n@serve.deployment\nclass B: pass\nb = B.bind()\napp: object = A.bind(b, -1, f'{b}')", {"A": {}, "B": {}}),
    "by another name": ("@serve.deployment\nclass A: pass\nother = A.bind()\napp = other", {"A": {}}),
    "with options": ("@serve.deployment(num_replicas=1, max_queued_requests=3)\nclass A: pass\napp = A.options(num_replicas=2).bind()", {"A": {"num_replicas": 2, "max_queued_requests": 3}}),
    "renamed by options": ("@serve.deployment(name='x')\nclass A: pass\napp = A.options(name='y').options(num_replicas=N).bind()", {"y": {"num_replicas": None}}),
    "twice, by two names": ("@serve.deployment\nclass A: pass\n@serve.deployment\nclass B: pass\napp = B.bind(A.options(name='x').bind(), A.options(name='y').bind())", {"B": {}, "x": {}, "y": {}}),
    "by a builder": ("@serve.deployment\nclass A: pass\ndef app(args): return A.bind(args['x'], int(args.get('n', 3)))", {"A": {}}),
    "by a builder in steps": ("@serve.deployment\nclass A: pass\n@serve.deployment\nclass B: pass\ndef app(args: Args) -> Application:\n    'Build.'\n    b = B.options(num_replicas=args.replicas).bind()\n    return A.bind(b)", {"A": {}, "B": {"num_replicas": None}}),
    "by a builder, one bound for two": ("@serve.deployment\nclass A: pass\n@serve.deployment\nclass B: pass\ndef app(args):\n    b = B.bind()\n    return A.bind(b, b)", {"A": {}, "B": {}}),
    "by a builder from a variant": ("@serve.deployment\nclass A: pass\ndef app(args):\n    Large = A.options(num_cpus=2)\n    return Large.bind()", {"A": {"num_cpus": 2}}),
    "one that is not bound": ("@serve.deployment\nclass A: pass\n@serve.deployment\nclass B: pass\napp = A.bind()", {"A": {}}),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_deployments_of_plain_code_are_known_with_their_settings(tmp_path, name):
    code, deployments = PLAIN[name]
    facts = _facts(tmp_path, START + code + "\n")
    assert (facts.deployments, facts.complete) == (deployments, True)


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("class A:\n    def Say(self, m): pass", "A"),
        ("class A:\n    def __init__(self): raise ValueError", ""),
        ("class A:\n    async def __call__(self, r): pass", ""),
        ("class A:\n    __call__ = f", ""),
        ("class A(Base): pass", ""),
        ("@serve.ingress(api)\nclass A: pass", ""),
        ("def A(r): pass", ""),
    ],
)
def test_an_ingress_that_http_cannot_call_is_known(tmp_path, code, name):
    inner = "@serve.deployment\nclass B: pass\n"
    text = f"{START}{inner}@serve.deployment\n{code}\napp = A.bind(B.bind())\n"
    facts = _facts(tmp_path, text)
    assert (facts.complete, facts.no_http) == (True, name)


UNPLAIN = {
    "a class in a branch": "if x:\n    @serve.deployment\n    class B: pass\napp = B.bind()",
    "a class defined twice": "@serve.deployment\nclass B: pass\n@serve.deployment\nclass B: pass\napp = B.bind()",
    "a class decorated by another": "@other\nclass B: pass\napp = B.bind()",
    "a class wrapped later": "A = wrap(A)\napp = A.bind()",
    "an application by with": "with f() as app: pass",
    "an application by for": "for app in f(): pass",
    "an application by match": "match f():\n    case {'x': 1, **app}: pass",
    "an application bound again": "app = A.bind()\nfor app in (1,): pass",
    "an application assigned in a function": "app = A.bind()\ndef f():\n    global app\n    app = None",
    "an argument from elsewhere": "app = A.bind(os.environ['X'])",
    "an argument of all": "app = A.bind(*x)",
    "an argument that is a class": "app = A.bind(A)",
    "an application without an argument's value": "app = A.bind(int(x))",
    "options by position": "app = A.options(x).bind()",
    "a name by an argument": "def app(args): return A.options(name=args['n']).bind()",
    "a name that the next one would get": "@serve.deployment\nclass B: pass\n@serve.deployment(name='B_1')\nclass C: pass\napp = B.bind(B.bind(), C.bind())",
    "two classes with one name": "@serve.deployment(name='A')\nclass B: pass\napp = A.bind(B.bind())",
    "one class with two settings": "app = A.bind(A.options(num_replicas=2).bind())",
    "a variable of itself": "def app(args):\n    a = [a]\n    return A.bind(a)",
    "variables of each other": "def app(args):\n    a = [b]\n    b = [a]\n    return A.bind(a)",
    "a builder with a condition": "def app(args):\n    if args: return A.bind()\n    return A.bind(1)",
    "a builder that binds its own argument": "def app(args):\n    args = 1\n    return A.bind()",
    "a builder that binds twice": "def app(args):\n    a = A.bind()\n    a = 1\n    return A.bind(a)",
    "a builder by a builder": "def f(args): return A.bind()\ndef app(args): return f(args)",
    "a builder that imports": "def app(args):\n    from x import B\n    return A.bind(B)",
    "a coroutine for a builder": "async def app(args): return A.bind()",
    "a builder that is decorated": "@cached\ndef app(args): return A.bind()",
    "a builder whose argument hides a class": "def app(A): return A.bind()",
    "a builder that returns nothing": "def app(args): return",
    "no application at all": "app = 1",
    "itself": "app = app",
}  # fmt: skip


@pytest.mark.parametrize("name", UNPLAIN)
def test_of_code_that_is_not_plain_nothing_is_claimed(tmp_path, name):
    code = f"{START}@serve.deployment\nclass A: pass\n{UNPLAIN[name]}\n"
    assert _facts(tmp_path, code) == SourceInfo()


def test_what_is_deep_inside_an_attribute_is_not_claimed(tmp_path):
    assert _facts(tmp_path, "class app: x = 1\n", "main:app.x") == SourceInfo()


def test_a_package_comes_before_a_module_as_in_python(tmp_path):
    (tmp_path / "main").mkdir()
    (tmp_path / "main" / "__init__.py").write_text("other = 1\n")
    assert "no 'app' in module main" in _facts(tmp_path, "app = 1\n").problem


def test_a_module_that_is_not_here_may_come_with_the_runtime_env(tmp_path):
    assert "no module 'x'" in _facts(tmp_path, "", "x:app").problem
    assert _facts(tmp_path, "", "x:app", elsewhere=True) == SourceInfo()


def test_a_module_that_is_here_is_read_even_if_there_are_others(tmp_path):
    assert "no 'app'" in _facts(tmp_path, "", elsewhere=True).problem


def test_warnings_about_code_are_not_ours_to_show(tmp_path, recwarn):
    assert _facts(tmp_path, "app = '\\d'\nassert (1, 2)\n").problem == ""
    assert recwarn.list == []


def test_code_beside_the_file_is_no_help_without_a_working_dir(tmp_path):
    (tmp_path / "main.py").write_text("app = 1\n")
    problem = inspect("main:app", directory=None, beside=tmp_path).problem
    assert problem.startswith(
        "main is next to this file, but Ray does not search there"
    )
    assert (
        inspect("main:app", directory=None, beside=tmp_path, elsewhere=True)
        == SourceInfo()
    )
    assert inspect("other:app", directory=None, beside=tmp_path) == SourceInfo()


words = st.sampled_from(
    [
        "app",
        "A",
        " = ",
        ".bind(",
        ")",
        "(",
        "class ",
        ":",
        "\n",
        "\n    ",
        "pass",
        "def ",
        "return ",
        ".options(",
        "@serve.deployment",
        "**x",
        "*y",
        ", ",
        "[",
        "]",
        "{",
        "}",
        "1",
        "'",
        '"',
        "import ",
        "with f() as ",
        "for ",
        " in ",
        "match x:\n  case ",
        "global ",
        "\\",
        "\t",
        "\x00",
        "é",
    ]
)


@settings(max_examples=500)
@given(st.one_of(st.lists(words, max_size=30).map("".join), st.text(max_size=40)))
def test_no_code_makes_reading_it_raise(code):
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "main.py").write_bytes(code.encode("utf-8", "surrogatepass"))
        facts = inspect("main:app", directory=folder, beside=folder)
    assert not (facts.problem and facts.complete)
    assert facts.complete == bool(facts.deployments)
