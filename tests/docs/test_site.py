"""The documentation site: it builds without a warning, and every link works."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from blocks import ROOT, pages

LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)")
FOLDERS = "bench|cli|docs|examples|infra|raylift|serve_runtime|stacks|tests"
PATH = re.compile(rf"`((?:{FOLDERS})/[\w./-]+)`")
README_FILES = sorted(
    str(p.relative_to(ROOT)) for p in ROOT.glob("examples/*/README.md")
)


def test_the_site_builds_without_a_warning(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "-q",
            "-d",
            str(tmp_path),
        ],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "examples" / "hello" / "index.html").exists()
    assert (tmp_path / "project" / "changelog" / "index.html").exists()


@pytest.mark.parametrize("page", [*pages(), *README_FILES])
def test_a_link_in_the_repository_leads_to_a_file(page):
    path = ROOT / page
    links = LINK.findall(path.read_text(encoding="utf-8"))
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("page", pages())
def test_a_path_of_the_repository_in_a_page_exists(page):
    paths = PATH.findall((ROOT / page).read_text(encoding="utf-8"))
    assert [path for path in paths if not (ROOT / path).exists()] == []
