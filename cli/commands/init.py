"""`raylift init`: create a project with a sample application."""

from __future__ import annotations

import errno
import importlib.resources
import re
import shlex
from pathlib import Path

from raylift.cli.output import terminal
from raylift.errors import InvalidInput, PermissionDenied
from raylift.messages import os_reason


def run(folder: Path) -> None:
    """Copy the templates and print the next command."""
    templates = Path(str(importlib.resources.files("raylift.cli") / "templates"))
    files = [path.relative_to(templates) for path in _files(templates)]
    try:
        existing = [str(file) for file in files if (folder / file).exists()]
        if existing:
            raise InvalidInput.at(
                str(folder),
                f"already contains {', '.join(sorted(existing))}",
                hint="pass a directory without these files",
            )
        project = f'"{_project(folder)}"'
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            text = (templates / file).read_text(encoding="utf-8")
            text = text.replace('"PROJECT"', project)
            (folder / file).write_text(text, encoding="utf-8")
            terminal.show(f"+ {file}")
    except OSError as error:
        reason = os_reason(error)
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG):
            text = f"cannot create the directory: {reason}"
            raise InvalidInput.at(str(folder), text) from None
        raise PermissionDenied(f"{folder}: cannot be written: {reason}") from None
    where = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    terminal.say(f"next: {where}raylift up && raylift deploy")


def _project(folder: Path) -> str:
    """Return the name of the directory, as Pulumi allows it for a project."""
    name = re.sub(r"[^\w.-]", "-", folder.resolve().name, flags=re.ASCII)
    return name[:100] or "models"


def _files(templates: Path) -> list[Path]:
    return sorted(
        path
        for path in templates.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
