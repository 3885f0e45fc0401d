"""Optional dependencies: who works without them, and how a missing one is reported."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys

import pytest

from raylift import __version__
from raylift.cli.extras import missing_extra

OPTIONAL = [
    *("ray", "aiohttp"),
    *("pulumi", "pulumi_kubernetes", "lightkube", "httpx2"),
    *("pulumi_aws", "boto3", "botocore"),
]
# Runs the command line, in which none of the optional dependencies can be imported.
PROGRAM = f"""
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {OPTIONAL!r}:
            raise ModuleNotFoundError(f"No module named '{{name}}'", name=name)

sys.meta_path.insert(0, Blocker())
from raylift.cli.main import main
main()
"""
LOCAL = "config:\n  raylift:target: local\n"
SERVE = "applications:\n  - import_path: main:app\n    runtime_env: {working_dir: .}\n"
APP = (
    "from ray import serve\n\n@serve.deployment\nclass A:\n    pass\n\napp = A.bind()\n"
)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: t\nruntime: python\n")
    (tmp_path / "stacks" / "Pulumi.local.yaml").write_text(LOCAL)
    for target, keys in (("kubernetes", ""), ("aws", ", aws:region: us-west-2")):
        text = f"config: {{raylift:target: {target}{keys}}}\n"
        (tmp_path / "stacks" / f"Pulumi.{target}.yaml").write_text(text)
    (tmp_path / "serve.yaml").write_text(SERVE)
    (tmp_path / "main.py").write_text(APP)
    return tmp_path


def _run(folder, *words):
    environment = {k: v for k, v in os.environ.items() if k != "RAYLIFT_STACK"}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("--help", 0),
        ("--version", 0),
        ("schema", 0),
        ("config --resolved", 0),
        ("config -s kubernetes --resolved", 0),
        ("init new", 0),
        ("deploy --dry-run", 3),
        ("status", 3),
        ("delete --yes", 0),
    ],
)
def test_the_core_works_without_optional_dependencies(folder, words, code):
    result = _run(folder, *words.split())
    assert result.returncode == code, result.stderr
    assert "not installed" not in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("words", ["up -s kubernetes", "status -s aws"])
def test_a_missing_extra_is_one_line_and_the_command_that_installs_it(folder, words):
    result = _run(folder, *words.split())
    assert result.returncode == 3
    assert result.stderr == (
        "error: targets kubernetes and aws require pulumi, which is not installed\n"
        ' hint: run `pip install "raylift[kubernetes]"`\n'
    )


def test_a_missing_distribution_of_ray_is_reported_too():
    error = missing_extra(importlib.metadata.PackageNotFoundError("ray"))
    assert str(error) == "target local requires ray, which is not installed"
    assert error.hint == 'run `pip install "raylift[local]"`'


@pytest.mark.parametrize(
    ("name", "extra"), [("boto3.session", "aws"), ("pulumi-kubernetes", "kubernetes")]
)
def test_an_extra_is_found_by_module_or_distribution(name, extra):
    error = missing_extra(ModuleNotFoundError("missing", name=name))
    assert error.hint == f'run `pip install "raylift[{extra}]"`'


def test_another_missing_module_is_a_defect_and_not_an_extra():
    assert missing_extra(ModuleNotFoundError("missing", name="raylift.nope")) is None


def test_the_version_names_ray_if_it_is_installed(folder):
    result = _run(folder, "--version")
    ray = importlib.metadata.version("ray")
    assert result.stdout == f"raylift {__version__} (Ray {ray})\n"
