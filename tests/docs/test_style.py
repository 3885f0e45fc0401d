"""Words that docs/STYLE.md bans from what people read."""

from __future__ import annotations

import ast
import re

import pytest
import typer
from blocks import ROOT, pages

from raylift.cli.main import app

STYLE = "docs/STYLE.md"
README_FILES = [str(p.relative_to(ROOT)) for p in sorted(ROOT.glob("*/*/README.md"))]


def _banned() -> re.Pattern[str]:
    """Return what matches the forms that the style guide lists."""
    text = (ROOT / STYLE).read_text(encoding="utf-8").partition("## Banned forms")[2]
    forms = re.findall(r'"([^"]+)"', text.partition("(")[0])
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, forms))})\b", re.IGNORECASE)


@pytest.mark.parametrize("page", [*pages(), *README_FILES])
def test_a_page_has_no_banned_form(page):
    if page == STYLE:
        return
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    assert _banned().findall(text) == []


def test_help_has_no_banned_form():
    group = typer.main.get_command(app)
    for command in group.commands.values():
        helps = [command.help, *(getattr(p, "help", "") for p in command.params)]
        assert _banned().findall(" ".join(text or "" for text in helps)) == []


def test_no_docstring_has_a_banned_form():
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [
        (str(path.relative_to(ROOT)), forms)
        for folder in ("raylift", "infra", "serve_runtime", "cli")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, documented)
        and (
            forms := _banned().findall(
                " ".join((ast.get_docstring(node) or "").split())
            )
        )
    ]
    assert found == []
