"""Pulumi's Automation API of a stack, which leaves the user's own workspace alone."""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING

from pulumi import automation
from pulumi.automation._stack import StackInitMode
from pulumi.automation.errors import InvalidVersionError, StackAlreadyExistsError

from infra.backend import environment, secrets_provider
from raylift.errors import CannotWork

if TYPE_CHECKING:
    from pathlib import Path

OLDEST = "3.238.0"


class _Workspace(automation.LocalWorkspace):
    """A workspace that does not change which stack the user has selected."""

    def create_stack(self, stack_name: str) -> None:
        """`pulumi stack init` without selecting it."""
        arguments = ["stack", "init", stack_name, "--no-select"]
        if self.secrets_provider:
            arguments += ["--secrets-provider", self.secrets_provider]
        self._run_pulumi_cmd_sync(arguments)

    def export_stack(self, stack_name: str) -> automation.Deployment:
        """The state with its secrets encrypted: an import writes it to a file."""
        arguments = ["stack", "export", "--stack", stack_name]
        told = json.loads(self._run_pulumi_cmd_sync(arguments).stdout)
        return automation.Deployment(told["version"], told["deployment"])

    def stack_outputs(self, stack_name: str) -> automation.OutputMap:
        """Outputs by one call where Pulumi makes two; which are secret, nobody asks."""
        arguments = ["stack", "output", "--json", "--show-secrets", "--stack"]
        told = json.loads(self._run_pulumi_cmd_sync([*arguments, stack_name]).stdout)
        return {
            key: automation.OutputValue(value, secret=True)
            for key, value in told.items()
        }

    def select_stack(self, stack_name: str) -> None:
        """Nothing: every operation names its stack."""


def stack_in(stack_file: Path, name: str) -> automation.Stack:
    """The stack of a file, whether it is in the backend or not.

    Raises:
        CannotWork: Pulumi's command line is missing or too old.
        InputFailed: no backend or no passphrase is chosen.
    """
    root = stack_file.parent.parent
    try:
        workspace = _Workspace(
            work_dir=str(root),
            env_vars=environment(root, stack_file),
            secrets_provider=secrets_provider(stack_file),
        )
        version = workspace.pulumi_version
    except FileNotFoundError:
        raise CannotWork(
            "Pulumi's command line is not installed",
            hint="https://www.pulumi.com/docs/install says how",
        ) from None
    except InvalidVersionError as error:
        raise CannotWork(str(error)) from None
    if _numbers(version) < _numbers(OLDEST):
        raise CannotWork(
            f"Pulumi's command line is {version}; {OLDEST} or newer is needed"
        )
    return automation.Stack(name, workspace, StackInitMode.SELECT)


def create(api: automation.Stack) -> None:
    """Make the stack in the backend, if nobody has been faster."""
    with contextlib.suppress(StackAlreadyExistsError):
        api.workspace.create_stack(api.name)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
