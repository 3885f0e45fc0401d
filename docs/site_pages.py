"""Hooks of mkdocs: pages from Markdown files that are outside docs/.

README files of examples and files such as CHANGELOG.md become pages of the site. Links
between files work on the site as in the repository.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

from mkdocs.structure.files import File

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
_LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+\.md)")


def _outside() -> dict[str, str]:
    """Return the page of each file outside docs/, both as relative paths."""
    examples = {
        f"examples/{readme.parent.name}/README.md": f"examples/{readme.parent.name}.md"
        for readme in ROOT.glob("examples/*/README.md")
    }
    project = {
        file.name: f"project/{file.stem.lower()}.md"
        for file in ROOT.glob("*.md")
        if file.name != "README.md"
    }
    return examples | project


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add a page for each file outside docs/."""
    for source, page in _outside().items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(
    markdown: str, *, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Rewrite links to files in the repository as links to pages of the site."""
    del config, files
    pages = _outside()
    sources = {target: source for source, target in pages.items()}
    source_page = page.file.src_uri
    source = sources.get(source_page, f"docs/{source_page}")

    def rewrite(link: re.Match[str]) -> str:
        joined = posixpath.join(posixpath.dirname(source), link[1])
        path = posixpath.normpath(joined)
        target = pages.get(path, path.removeprefix("docs/"))
        return f"]({posixpath.relpath(target, posixpath.dirname(source_page) or '.')}"

    return _LINK.sub(rewrite, markdown)
