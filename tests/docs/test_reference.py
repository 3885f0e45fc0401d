"""The reference pages: what is committed is what the code says."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest

GENERATOR = Path(__file__).parents[2] / "docs" / "generate.py"
PAGES = runpy.run_path(str(GENERATOR))["pages"]()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_reference_page_is_current(page):
    if os.environ.get("RAYLIFT_WRITE_GOLDEN"):
        page.write_text(PAGES[page], encoding="utf-8")
    assert page.read_text(encoding="utf-8") == PAGES[page], "run make docs"


def test_every_target_and_command_has_a_section():
    text = "".join(PAGES.values())
    for heading in ("## Target local", "## Target aws", "## raylift deploy"):
        assert heading in text
    assert "raylift eks-token" not in text
