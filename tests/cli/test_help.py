"""The complete help of every command, as files that a review can read.

`RAYLIFT_WRITE_GOLDEN=1` rewrites the files.
"""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from raylift.cli.help import EXAMPLES
from raylift.cli.main import app

SNAPSHOTS = Path(__file__).parent / "snapshots"
GROUP = get_command(app)
COMMANDS = {n: c for n, c in GROUP.commands.items() if not c.hidden}
WIDTH = {"COLUMNS": "80", "TERMINAL_WIDTH": "80"}


def _help(*words: str) -> str:
    result = CliRunner(env=WIDTH).invoke(app, [*words, "--help"], prog_name="raylift")
    assert result.exit_code == 0
    return result.stdout


@pytest.mark.parametrize("name", ["raylift", *COMMANDS])
def test_help_is_as_reviewed(name):
    path = SNAPSHOTS / f"{name}.txt"
    current = _help() if name == "raylift" else _help(name)
    if os.environ.get("RAYLIFT_WRITE_GOLDEN"):
        path.write_text(current, encoding="utf-8")
    reviewed = path.read_text(encoding="utf-8") if path.exists() else ""
    both = (text.splitlines() for text in (reviewed, current))
    changed = "\n".join(difflib.unified_diff(*both, "reviewed", "current", lineterm=""))
    assert not changed, f"{changed}\n\nif intended, rewrite with RAYLIFT_WRITE_GOLDEN=1"


def test_every_snapshot_belongs_to_a_command():
    assert {path.stem for path in SNAPSHOTS.iterdir()} == {"raylift", *COMMANDS}


def test_summaries_fit_the_list_of_commands():
    listed = _help()
    for name, command in COMMANDS.items():
        summary = command.help.splitlines()[0]
        assert len(summary) <= 60
        assert re.search(rf"^  {name} +{re.escape(summary)}$", listed, re.MULTILINE)


def test_every_command_has_examples_that_it_can_parse():
    assert set(EXAMPLES) == set(COMMANDS)
    for name, examples in EXAMPLES.items():
        for example in examples:
            program, command, *arguments = example.partition(" > ")[0].split()
            assert (program, command) == ("raylift", name)
            COMMANDS[name].make_context(name, arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_metavars_have_no_brackets_within_brackets(name):
    usage = _help(name).splitlines()[0]
    assert not re.search(r"\[\[|\]\]|[{}<>]", usage)


def test_a_shell_can_complete_commands():
    result = subprocess.run(
        [Path(sys.executable).with_name("raylift")],
        env={
            **os.environ,
            "_RAYLIFT_COMPLETE": "complete_bash",
            "COMP_WORDS": "raylift de",
            "COMP_CWORD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.split() == ["deploy", "delete"]
