"""Command lines that are wrong, and projects that are none."""

# ruff: noqa: E501 a case is a line

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from raylift.cli.main import app

# arguments, the message, the hint ("" for none)
USAGE = {
    "an unknown command": (["depoly"], "unknown command 'depoly'; did you mean 'deploy'?", "raylift --help"),
    "a command of Pulumi's": (["destroy"], "unknown command 'destroy'", "raylift --help"),
    "an option before the command": (["-x"], "unknown option '-x'", "raylift --help"),
    "an option misspelt": (["deploy", "--dryrun"], "unknown option '--dryrun'; did you mean --dry-run?", "raylift deploy --help"),
    "an option cut short": (["deploy", "--dry"], "unknown option '--dry'", "raylift deploy --help"),
    "an option of another": (["status", "--prune"], "unknown option '--prune'", "raylift status --help"),
    "no value": (["deploy", "--timeout"], "option '--timeout' requires an argument", None),
    "no stack": (["up", "-s"], "option '-s' requires an argument", None),
    "a timeout of zero": (["deploy", "--timeout", "0"], "--timeout: must be at least 1, not '0'", "raylift deploy --help"),
    "a timeout below zero": (["delete", "a", "--timeout", "-5"], "--timeout: must be at least 1, not '-5'", "raylift delete --help"),
    "a timeout of nan": (["deploy", "--timeout", "nan"], "--timeout: must be at least 1, not 'nan'", "raylift deploy --help"),
    "a timeout in words": (["deploy", "--timeout", "soon"], "--timeout: must be a number, not 'soon'", "raylift deploy --help"),
    "lines below zero": (["logs", "-n", "-1"], "--lines: must be at least 0, not '-1'", "raylift logs --help"),
    "lines in words": (["logs", "-n", "all"], "--lines: must be an integer, not 'all'", "raylift logs --help"),
    "too many files": (["deploy", "a.yaml", "b.yaml"], "unexpected argument: b.yaml", "raylift deploy --help"),
    "too many names": (["logs", "a", "b", "c"], "unexpected argument: c", "raylift logs --help"),
    "an argument for config": (["config", "x"], "unexpected argument: x", "raylift config --help"),
    "a folder with a NUL": (["init", "a\0b"], "embedded null byte", "raylift init --help"),
}  # fmt: skip


@pytest.mark.parametrize("name", USAGE)
def test_a_wrong_command_line_is_one_error_and_the_way_to_the_help(project, name):
    arguments, expected, hint = USAGE[name]
    told = project.run(*arguments)
    assert told.code == 2
    assert len(told.errors) == 1
    assert expected in told.errors[0]
    assert len(told.hints) == 1
    assert hint is None or told.hints == [f"run `{hint}`"]


ARGUMENTS = {
    "a name beside a file": (["deploy", "--name", "x"], "command line: --name and --route-prefix require module:app"),
    "an empty name beside a file": (["deploy", "--name", ""], "require module:app, not a file"),
    "a route beside a file": (["deploy", "serve.yaml", "--route-prefix", "/x"], "require module:app"),
    "values beside an import path": (["deploy", "main:app", "--values", "v.yaml"], "command line: --values requires a file, not module:app"),
    "a file of values that is not there": (["deploy", "--values", "v.yaml"], "v.yaml: cannot be read: no such file"),
    "a directory of values": (["deploy", "--values", "."], ".: cannot be read: is a directory"),
    "values that are no YAML": (["deploy", "--values", "main.py"], "main.py:"),
    "an empty name": (["deploy", "main:app", "--name", ""], "command line: --name: must contain only letters"),
    "a name with a space": (["deploy", "main:app", "--name", "a b"], "command line: --name: must contain only letters"),
    "a name with a slash": (["deploy", "main:app", "--name", "../a"], "command line: --name: must contain only letters"),
    "an empty route": (["deploy", "main:app", "--route-prefix", ""], "command line: --route-prefix: must start with '/'"),
    "a route of words": (["deploy", "main:app", "--route-prefix", "x"], "command line: --route-prefix: must start"),
    "a module that is not there": (["deploy", "mian:app"], "command line: mian:app: no module 'mian' in"),
    "an attribute that is not there": (["deploy", "main:ap"], "no 'ap' in module main; did you mean app?"),
    "no attribute": (["deploy", "main:"], "command line: main:: must be a Serve config file or module:app"),
    "a colon": (["deploy", ":"], "must be a Serve config file or module:app"),
    "two colons": (["deploy", "main::app"], "must be a Serve config file or module:app"),
    "a file for a module": (["deploy", "main.py:app"], "use the module name, not the file name: main"),
    "an address": (["deploy", "https://x/serve.yaml"], "must be a Serve config file or module:app"),
    "an emoji for a module": (["deploy", "🚀:app"], "must be a Serve config file or module:app"),
    "a line break in a module": (["deploy", "a\nerror: b:app"], r"a\nerror: b:app"),
    "a file that is not there": (["deploy", "no.yaml"], "no.yaml: cannot be read: no such file or directory"),
    "a module for a file": (["deploy", "main"], "main: cannot be read: no such file or directory"),
    "a file with a NUL": (["deploy", "a\0b"], r"a\x00b: cannot be read: no such file"),
    "a file of 300 letters": (["deploy", "a" * 300], "cannot be read"),
    "a file that is not in Unicode": (["deploy", "\udcff.yaml"], r"\udcff.yaml: cannot be read"),
    "no file": (["deploy", ""], "cannot be read: is a directory"),
    "a folder": (["deploy", "stacks"], "stacks: cannot be read: is a directory"),
    "a device without end": (["deploy", "/dev/zero"], "/dev/zero: must be at most 5 MB"),
    "a device without a start": (["deploy", "/dev/null"], "/dev/null: is empty"),
    "code for a file": (["deploy", "main.py"], "main.py:4: invalid YAML"),
    "a stack misspelt": (["status", "-s", "locl"], "stack 'locl': no file stacks/Pulumi.locl.yaml; did you mean local?"),
    "a stack of another project": (["up", "-s", "prod"], "stack 'prod': no file stacks/Pulumi.prod.yaml"),
    "a stack with capitals": (["delete", "-s", "Local", "--yes"], "stack name 'Local': must start with a letter"),
    "a stack without a name": (["config", "-s", ""], "stack name '': must start with"),
    "a stack that is a path": (["delete", "-s", "../x", "--yes"], "stack name '../x': must start with"),
    "a stack of two dots": (["delete", "-s", "..", "--yes"], "stack name '..': must start with"),
    "a stack with a line break": (["status", "-s", "local\n"], r"stack name 'local\n'"),
    "a stack right to left": (["status", "-s", "\u202elocal"], r"stack name '\u202elocal'"),
    "a stack of an emoji": (["logs", "-s", "🚀"], "must start with a letter"),
    "a stack of 300 letters": (["status", "-s", "a" * 300], "at most 20 characters"),
    "init over a project": (["init"], ".: already contains Pulumi.yaml, serve.yaml, stacks/Pulumi.local.yaml"),
    "init over a file": (["init", "main.py"], "main.py: cannot create the directory: file exists"),
    "init inside a file": (["init", "main.py/x"], "main.py/x: cannot create the directory: not a directory"),
    "init of 300 letters": (["init", "a" * 300], "cannot create the directory: file name too long"),
}  # fmt: skip


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_wrong_argument_is_one_error_that_names_it(project, name):
    arguments, expected = ARGUMENTS[name]
    errors = project.refused(*arguments)
    assert len(errors) == 1
    assert expected in errors[0]


@pytest.mark.parametrize("command", ["status", "logs", "deploy", "delete a"])
def test_a_stack_that_is_not_up_is_three_and_the_way_up(project, command):
    told = project.run(*command.split())
    assert (told.code, told.errors) == (3, ["stack 'local' is not up"])
    assert told.hints == ["run `raylift up -s local`"]


@pytest.mark.parametrize("arguments", [["deploy"], ["deploy", "--dry-run", "--json"]])
def test_a_bad_file_is_told_before_a_stack_that_is_not_up(project, arguments):
    project.write(**{"serve.yaml": "applications: 1\n"})
    assert project.refused(*arguments) == [
        "serve.yaml:1: applications: must be a list, not the number 1"
    ]


@pytest.mark.parametrize("command", ["up", "config", "status", "logs", "delete"])
def test_every_command_outside_a_project_names_the_way_in(project, command):
    project.write(**{"Pulumi.yaml": None})
    told = project.run(command)
    assert told.code == 2
    assert told.errors == [
        f"{project.folder}: no Pulumi.yaml in this directory or any parent directory"
    ]
    assert told.hints == [
        "run `raylift init` in an empty directory to create a project"
    ]


def test_a_stack_file_that_is_a_folder_or_a_loop_cannot_be_read(project):
    path = project.folder / "stacks" / "Pulumi.local.yaml"
    path.unlink()
    path.mkdir()
    assert "cannot be read: is a directory" in project.refused("config")[0]
    path.rmdir()
    path.symlink_to(path.name)
    assert "too many levels of symbolic links" in project.refused("config")[0]


def test_files_that_are_no_stacks_are_not_offered_as_stacks(project):
    for name in ("Pulumi.a.b.yaml", "Pulumi..yaml", "Pulumi.Prod.yaml", "notes.yaml"):
        project.write(**{f"stacks/{name}": ""})
    told = project.run("status", "-s", "prod")
    assert told.hints == ["use one of these stacks: local"]


def test_a_project_without_a_stack_says_so(project):
    project.write(**{"stacks/Pulumi.local.yaml": None})
    told = project.run("config")
    assert told.code == 2
    assert told.hints == ["create stacks/Pulumi.local.yaml"]


def test_a_stack_is_not_deleted_without_confirmation(project):
    project.write(**{".raylift/local/state.json": "{}"})
    told = project.run("delete")
    assert told.code == 2
    assert told.errors == ["cannot prompt for confirmation: not a terminal"]
    assert told.hints == ["pass --yes to skip the prompt"]


def test_a_file_that_may_not_be_read_is_one_error(project):
    project.run("deploy")  # what it imports must be imported while it may be
    with tempfile.TemporaryDirectory() as name:  # pytest's are closed to others
        Path(name).chmod(0o755)
        project = type(project)(Path(name))
        (project.folder / "serve.yaml").chmod(0)
        with _as_nobody():
            errors = project.refused("deploy")
    assert errors == ["serve.yaml: cannot be read: permission denied"]


@contextlib.contextmanager
def _as_nobody():
    """Root may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("command", ["up", "status", "delete", "deploy main:app"])
def test_in_a_deleted_folder_every_command_is_one_error(tmp_path, monkeypatch, command):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    result = CliRunner().invoke(app, command.split())
    assert result.exit_code == 2
    assert result.stderr == "error: current directory: was deleted\n"


def test_no_command_at_all_shows_the_help(project):
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "Commands:" in result.output
    assert "error" not in result.output


@pytest.mark.parametrize(
    ("arguments", "code", "expected"),
    [
        (["depoly"], 2, "error: unknown command 'depoly'"),
        (["deploy", "no.yaml"], 2, "error: no.yaml: cannot be read"),
        (["config"], 2, "error: stacks/Pulumi.local.yaml:2: raylift:targt: unknown"),
        (["deploy"], 2, "error: serve.yaml:1: applications: must be a list"),
    ],
    ids=["a command", "a file", "a stack file", "a Serve config"],
)
def test_the_installed_program_says_the_same(project, arguments, code, expected):
    project.write(
        **{
            "stacks/Pulumi.local.yaml": "config:\n  raylift:targt: local\n",
            "serve.yaml": "applications: {}\n",
        }
    )
    program = Path(sys.executable).with_name("raylift")
    result = subprocess.run(
        [program, *arguments],
        cwd=project.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == code
    assert result.stderr.startswith(expected)
    assert result.stdout == ""
