"""Where things are: the project's root, its stacks, their files and state."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raylift.errors import InputFailed

if TYPE_CHECKING:
    from pathlib import Path

    from infra.stack import Stack

_STACK_NAME = re.compile(r"[a-z]([-a-z0-9]{0,18}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Project:
    """The nearest folder with a Pulumi.yaml; stack files lie under `stacks/`."""

    root: Path

    def stack_file(self, stack: str) -> Path:
        """The file that makes a stack exist.

        A stack that is up is found without it: it can be looked at and deleted.

        Raises:
            InputFailed: no such file; a typo must not create a cloud.
        """
        if not _STACK_NAME.fullmatch(stack):
            raise InputFailed.at(
                f"stack name {stack!r}",
                "must be lowercase letters, digits and '-', start with a letter,"
                " at most 20 characters",
            )
        path = self.root / "stacks" / f"Pulumi.{stack}.yaml"
        if not os.path.lexists(path) and not self.state_dir(stack).exists():
            near = difflib.get_close_matches(stack, self.stacks(), n=1)
            meant = f"; did you mean {near[0]}?" if near else ""
            raise InputFailed.at(
                f"stack '{stack}'",
                f"no file stacks/{path.name}{meant}",
                hint=f"stacks here: {', '.join(self.stacks()) or 'none'}",
            )
        return path

    def stacks(self) -> list[str]:
        """Names of the stacks that have a file."""
        files = (self.root / "stacks").glob("Pulumi.*.yaml")
        names = (file.name.removeprefix("Pulumi.")[: -len(".yaml")] for file in files)
        return sorted(name for name in names if _STACK_NAME.fullmatch(name))

    def state_dir(self, stack: str) -> Path:
        """Where the `local` target keeps a stack's state; it may not exist."""
        return self.root / ".raylift" / stack


def find_project(start: Path) -> Project:
    """The project that `start` lies in.

    Raises:
        InputFailed: there is none.
    """
    for folder in (start, *start.parents):
        if (folder / "Pulumi.yaml").is_file():
            return Project(folder)
    raise InputFailed.at(
        str(start),
        "no Pulumi.yaml here or above",
        hint="raylift init makes a project in an empty folder",
    )


def open_stack(project: Project, name: str) -> Stack:
    """The stack of that name, of whichever target its file says.

    What runs on this machine is found without its file.

    Raises:
        InputFailed: it has no file.
    """
    file, state = project.stack_file(name), project.state_dir(name)
    if not state.exists():
        from infra.stack_file import target_of

        if target_of(file) != "local":
            from infra.engine import PulumiStack

            return PulumiStack(name, file)
    from infra.local.stack import LocalStack

    return LocalStack(name, file, state)
