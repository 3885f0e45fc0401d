"""The Pulumi CLI for a stack, used through the Automation API.

It runs in the user's project directory. It changes neither the selected stack nor files
of the user.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING

from pulumi import automation
from pulumi.automation._stack import StackInitMode
from pulumi.automation.errors import InvalidVersionError, StackAlreadyExistsError

from raylift.errors import FailedPrecondition
from raylift.infra.engine.backend import environment, secrets_provider

if TYPE_CHECKING:
    from pathlib import Path

OLDEST = "3.238.0"


class _Workspace(automation.LocalWorkspace):
    """A workspace that does not change which stack is selected."""

    def create_stack(self, stack_name: str) -> None:
        """Create a stack without selecting it."""
        arguments = ["stack", "init", stack_name, "--no-select"]
        if self.secrets_provider:
            arguments += ["--secrets-provider", self.secrets_provider]
        self._run_pulumi_cmd_sync(arguments)

    def export_stack(self, stack_name: str) -> automation.Deployment:
        """Return the state with encrypted secrets; an import writes it to a file."""
        arguments = ["stack", "export", "--stack", stack_name]
        state = json.loads(self._run_pulumi_cmd_sync(arguments).stdout)
        return automation.Deployment(state["version"], state["deployment"])

    def stack_outputs(self, stack_name: str) -> automation.OutputMap:
        """Return the outputs with one call of the CLI instead of two.

        All are marked as secret.
        """
        arguments = ["stack", "output", "--json", "--show-secrets", "--stack"]
        outputs = json.loads(self._run_pulumi_cmd_sync([*arguments, stack_name]).stdout)
        return {
            key: automation.OutputValue(value, secret=True)
            for key, value in outputs.items()
        }

    def select_stack(self, stack_name: str) -> None:
        """Do nothing: every operation names its stack."""


def stack_in(stack_file: Path, name: str) -> automation.Stack:
    """Return the stack of a stack file, even if the backend does not contain it.

    Raises:
        FailedPrecondition: The Pulumi CLI is missing or too old.
        InvalidInput: No backend or no passphrase is configured.
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
        raise FailedPrecondition(
            "the Pulumi CLI is not installed",
            hint="install it: https://www.pulumi.com/docs/install",
        ) from None
    except InvalidVersionError as error:
        raise FailedPrecondition(str(error)) from None
    if _numbers(version) < _numbers(OLDEST):
        raise FailedPrecondition(
            f"the Pulumi CLI is version {version}; {OLDEST} or newer is required",
            hint="upgrade it: https://www.pulumi.com/docs/install",
        )
    return automation.Stack(name, workspace, StackInitMode.SELECT)


def create(api: automation.Stack) -> None:
    """Create the stack in the backend, unless a concurrent run has created it."""
    with contextlib.suppress(StackAlreadyExistsError):
        api.workspace.create_stack(api.name)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
