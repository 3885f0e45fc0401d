"""The cause of each failure in real Ray is one line in `status`."""

from __future__ import annotations

import contextlib
import json

import pytest
from failing import HEAD, IN_IMPORT, IN_REPLICA
from project import COMMAND_SECONDS, wait_until

pytestmark = [pytest.mark.ray, pytest.mark.long]

OK = """
from ray import serve

@serve.deployment
def app(request):
    return "ok"

app = app.bind()
"""
TOGETHER = 12  # more at once overload Ray on a small machine
CASES = IN_IMPORT | IN_REPLICA
NAMES = sorted(CASES)
BATCHES = [NAMES[n : n + TOGETHER] for n in range(0, len(NAMES), TOGETHER)]
PARAMETERS = [pytest.param(each, id=f"{each[0]}-{each[-1]}") for each in BATCHES]


@pytest.fixture(scope="module")
def code(up):
    """The stack, and the document of an application whose package has all modules."""
    up.write("code/head.py", HEAD)
    up.write("code/ok.py", OK)
    for name, (text, _) in CASES.items():
        # Not `up.write`, which would change the indentation.
        (up.root / f"code/c_{name}.py").write_text(f"from head import *\n{text}")
    up.write_serve(
        "serve.yaml", {"import_path": "ok:app", "runtime_env": {"working_dir": "code"}}
    )
    up.run("deploy")
    document = json.loads((up.state_dir / "desired.json").read_text())
    return up, document["applications"]["default"]


def _problems(stack):
    """Return the problem of each application by its name."""
    problems = stack.status()["problems"]
    return {line.split("'")[1]: line for line in problems if "application '" in line}


@pytest.mark.parametrize("names", PARAMETERS)
def test_the_cause_is_named(code, names):
    stack, ok = code
    failing = [
        {**ok, "name": name, "route_prefix": f"/{name}", "import_path": f"c_{name}:app"}
        for name in names
    ]
    stack.put(ok, *failing)

    def unexplained():
        problems = _problems(stack)
        return {
            name: problems.get(name)
            for name in names
            if CASES[name][1].replace("{file}", f"c_{name}.py")
            not in problems.get(name, "")
        }

    with contextlib.suppress(AssertionError):  # the next line says more
        wait_until(lambda: not unexplained(), seconds=COMMAND_SECONDS, every=1)
    assert unexplained() == {}


def test_a_deploy_shows_the_error_of_a_process_that_died(code):
    stack, _ = code
    dies = (
        "class Model:\n"
        "    def __init__(self):\n"
        "        os.write(2, b'CUDA error: no device\\n')\n"
        "        os.abort()\n"
        "app = deployment(Model).bind()\n"
    )
    (stack.root / "code/dies.py").write_text(f"from head import *\n{dies}")
    dying = {
        "name": "dies",
        "route_prefix": "/dies",
        "import_path": "dies:app",
        "runtime_env": {"working_dir": "code"},
    }
    stack.write_serve("dies.yaml", dying)
    failed = stack.run("deploy", "dies.yaml", code=6).stderr
    assert "dies: Model: its process died: " in failed
