"""The project that `raylift init` writes."""

from __future__ import annotations

import runpy

import pulumi
import pytest
from typer.testing import CliRunner

from raylift.cli.main import app
from raylift.infra.project import Project

FILES = ["Pulumi.yaml", "__main__.py", "app", "hello.py", "serve.yaml", "stacks"]


@pytest.fixture
def project(tmp_path):
    result = CliRunner().invoke(app, ["init", str(tmp_path / "models")])
    assert result.exit_code == 0
    return tmp_path / "models"


def test_every_file_is_written_and_named(project):
    names = {path.name for path in project.rglob("*")}
    assert names == {*FILES, "Pulumi.local.yaml"}


@pytest.mark.parametrize(
    ("directory", "name"), [("my models!", "my-models-"), ("2024", "2024"), ("-", "-")]
)
def test_the_project_is_named_after_its_directory(tmp_path, directory, name):
    result = CliRunner().invoke(app, ["init", str(tmp_path / directory)])
    assert result.exit_code == 0
    assert Project(tmp_path / directory).name == name


def test_the_folder_is_a_program_as_pulumi_runs_it(project, monkeypatch):
    """Pulumi's Python host runs the folder of a project without `main:` by runpy.

    Source: sdk/python/cmd/pulumi-language-python-exec of pulumi/pulumi.
    """
    monkeypatch.setenv("PULUMI_CONFIG", '{"raylift:target": "local"}')
    with pytest.raises(pulumi.RunError, match="local is not supported by `pulumi up`"):
        runpy.run_path(str(project), run_name="__main__")
