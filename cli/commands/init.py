"""`raylift init`: a project that works, in an empty folder."""

from __future__ import annotations

import errno
import importlib.resources
import shlex
import shutil
from pathlib import Path

from cli.output import terminal
from raylift.errors import Denied, InputFailed


def run(folder: Path) -> None:
    """Copy the templates and say what to type next."""
    templates = Path(str(importlib.resources.files("cli") / "templates"))
    files = [path.relative_to(templates) for path in _files(templates)]
    try:
        taken = [str(file) for file in files if (folder / file).exists()]
        if taken:
            raise InputFailed.at(str(folder), f"already has {', '.join(sorted(taken))}")
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(templates / file, folder / file)
            terminal.show(f"+ {file}")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        if error.errno in (errno.EEXIST, errno.ENOTDIR, errno.ENAMETOOLONG):
            text = f"cannot be a folder: {reason}"
            raise InputFailed.at(str(folder), text) from None
        raise Denied(f"{folder}: cannot be written: {reason}") from None
    where = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    terminal.say(f"next: {where}raylift up && raylift deploy")


def _files(templates: Path) -> list[Path]:
    return sorted(
        path
        for path in templates.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
