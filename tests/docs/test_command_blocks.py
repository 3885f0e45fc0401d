"""Commands in the README and in docs/: each block is marked, or runs here."""

from __future__ import annotations

import re

import pytest
from blocks import NEEDS, ROOT, Block, blocks_of, pages, run_script
from raylift_commands import options_of

BLOCKS = [block for page in pages() for block in blocks_of(page)]
RUNNABLE = [page for page in pages() if any(not b.needs for b in blocks_of(page))]


@pytest.mark.parametrize("page", pages())
def test_every_block_of_commands_is_found(page):
    fences = re.findall(
        r"^ *```(?:sh|console|bash|shell)$", (ROOT / page).read_text(), re.MULTILINE
    )
    assert len(blocks_of(page)) == len(fences)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_mark_names_something_that_a_block_can_need(block: Block):
    assert block.needs in {"", *NEEDS}


@pytest.mark.parametrize("page", RUNNABLE)
def test_blocks_without_a_mark_run_in_an_empty_folder(page, tmp_path):
    for block in blocks_of(page):
        if not block.needs:
            done = run_script(block.script, tmp_path, timeout_s=60)
            assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_uses_commands_and_options_that_exist(block: Block):
    known = options_of()
    for command, options in _calls(block.script):
        assert command in known, f"{block}: raylift {command}"
        assert options <= known[command], f"{block}: raylift {command} {options}"


def _calls(script: str) -> list[tuple[str, set[str]]]:
    """Return each call of raylift as its command and the options it uses."""
    calls = re.findall(r"^(?:\$ )?raylift ([^#|&>;\n]*)", script, re.MULTILINE)
    words = [call.split() for call in calls]
    return [
        (first, {word for word in rest if word.startswith("-")})
        for first, *rest in words
    ]
