"""The root directory of a project, and the files and state of its stacks."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from raylift.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from raylift.infra.config.base import StackConfig, Target
    from raylift.infra.stack import ServingStack, Stack

_STACK_NAME = re.compile(r"[a-z]([-a-z0-9]{0,18}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Project:
    """A directory with a Pulumi.yaml. Its stack files are in `stacks/`."""

    root: Path

    def stack_file(self, stack: str) -> Path:
        """Return the path of a stack file.

        The file of a local stack that is up may be missing: `status` and `delete` work
        without it.

        Raises:
            InvalidInput: The name is invalid, or the stack does not exist. A typo must
                not create a stack.
        """
        if not _STACK_NAME.fullmatch(stack):
            raise InvalidInput.at(
                f"stack name {stack!r}",
                "must start with a letter, contain only lowercase letters, digits"
                " and '-', and have at most 20 characters",
            )
        path = self.root / "stacks" / f"Pulumi.{stack}.yaml"
        if not os.path.lexists(path) and not self.state_dir(stack).exists():
            near = difflib.get_close_matches(stack, self.stacks(), n=1)
            suggestion = f"; did you mean {near[0]}?" if near else ""
            raise InvalidInput.at(
                f"stack '{stack}'",
                f"no file stacks/{path.name}{suggestion}",
                hint=f"use one of these stacks: {', '.join(self.stacks())}"
                if self.stacks()
                else f"create stacks/{path.name}",
            )
        return path

    @property
    def name(self) -> str:
        """The name in Pulumi.yaml.

        Raises:
            InvalidInput: The file is not valid YAML, or contains no name.
        """
        from raylift.yaml_document import read

        settings = read(self.root / "Pulumi.yaml", name="Pulumi.yaml").value
        if not isinstance(settings, dict) or not settings.get("name"):
            raise InvalidInput.at("Pulumi.yaml", "name: required")
        return str(settings["name"])

    def stacks(self) -> list[str]:
        """Return the names of all stacks that have a file."""
        files = (self.root / "stacks").glob("Pulumi.*.yaml")
        names = (file.name.removeprefix("Pulumi.")[: -len(".yaml")] for file in files)
        return sorted(name for name in names if _STACK_NAME.fullmatch(name))

    def state_dir(self, stack: str) -> Path:
        """Return the directory of a local stack's state, which may not exist."""
        return self.root / ".raylift" / stack


def find_project(start: Path) -> Project:
    """Return the project that contains the directory `start`.

    Raises:
        InvalidInput: Neither `start` nor a parent has a Pulumi.yaml.
    """
    for folder in (start, *start.parents):
        if (folder / "Pulumi.yaml").is_file():
            return Project(folder)
    raise InvalidInput.at(
        str(start),
        "no Pulumi.yaml in this directory or any parent directory",
        hint="run `raylift init` in an empty directory to create a project",
    )


def open_stack(project: Project, name: str) -> Stack:
    """Return a stack of the target in its file.

    A stack that runs on this machine is `local`, even if its file is missing.

    Raises:
        InvalidInput: The stack does not exist.
    """
    file = project.stack_file(name)
    if _target(project, name) == "local":
        from raylift.infra.local.stack import LocalStack

        return LocalStack(name, file, project.state_dir(name))
    from raylift.infra.engine.pulumi_stack import PulumiStack

    return PulumiStack(name, file)


def open_serving(project: Project, name: str) -> ServingStack:
    """Return a stack for commands that use its applications.

    Raises:
        InvalidInput: The stack does not exist, or its file has errors.
    """
    if _target(project, name) != "kubernetes":
        return open_stack(project, name)
    from raylift.infra.kubernetes.described_stack import DescribedStack

    return DescribedStack(name, project.stack_file(name), project=project.name)


def load_config(project: Project, name: str) -> StackConfig:
    """Return the configuration of a stack, without importing Pulumi.

    Raises:
        InvalidInput: The stack does not exist, or its file has errors.
    """
    file = project.stack_file(name)
    if _target(project, name) == "local":
        return open_stack(project, name).config
    from raylift.infra.config.loader import load_stack_file

    return load_stack_file(file)


def _target(project: Project, name: str) -> Target:
    """Return the target of a stack; one that runs on this machine is `local`."""
    if project.state_dir(name).exists():
        return "local"
    from raylift.infra.config.loader import target_of

    return target_of(project.stack_file(name))
