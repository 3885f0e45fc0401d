"""One run of Pulumi's engine: its progress and its errors.

The engine's events become progress lines. Errors of the Pulumi CLI become errors with
an exit code and a hint.
"""

from __future__ import annotations

import importlib.metadata
import re
from typing import TYPE_CHECKING, TypeVar

from pulumi.automation.errors import CommandError, StackNotFoundError

from raylift.errors import (
    FailedPrecondition,
    InvalidInput,
    PermissionDenied,
    RayliftError,
    Unreachable,
)
from raylift.infra.engine.progress import EngineProgress
from raylift.infra.engine.signals import Interrupts
from raylift.infra.engine.stale_lock import locked, without_stale_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pulumi import automation
    from pulumi.automation.events import DiagnosticEvent, EngineEvent

    from raylift.infra.stack import Say

T = TypeVar("T")

_PARALLEL = 32
_PLUGIN = re.compile(r"resource plugin '?pulumi-resource-(\w+)'?|plugin (\w+)-v?[\d.]+")
# Helm: pkg/repo/chartrepo.go, FindChartInRepoURL
_REPOSITORY = re.compile(r'looks like "(\S+)" is not a valid chart repository')
_COLOUR = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
_UNREACHABLE = re.compile(
    r"connection refused|no such host|i/o timeout|dial tcp|\.pulumi/meta\.yaml|"
    r"operation error S3|could not open bucket"
)


def silent(_: object) -> None:
    """Discard a progress line."""


class Operation:
    """A run of the engine on a stack.

    Each completed step is reported to `say` as a `Done`.
    """

    def __init__(self, api: automation.Stack, say: Say = silent) -> None:
        self.steps = EngineProgress()
        self._api = api
        self._say = say
        self._errors: list[str] = []

    def run(self, operation: Callable[..., T], **arguments: object) -> T:
        """Run an operation of the Automation API with these arguments.

        Raises:
            RayliftError: The operation failed; the text contains the engine's reasons.
            KeyboardInterrupt: A signal stopped the operation.
        """
        return self.call(
            operation,
            **arguments,
            on_event=self._on_event,
            suppress_progress=True,
            color="never",
        )

    def in_parallel(self, operation: Callable[..., T], **arguments: object) -> T:
        """Run an operation on up to 32 independent resources at once; see `run`."""
        return self.run(operation, parallel=_PARALLEL, **arguments)

    def call(self, function: Callable[..., T], *args: object, **kwargs: object) -> T:
        """Call a function that runs the engine without events; see `run`."""
        with Interrupts(self._say) as interrupts:
            try:
                return without_stale_lock(
                    lambda: function(*args, **kwargs), self._api.cancel, self._say
                )
            except CommandError as error:
                if interrupts.count:
                    raise KeyboardInterrupt from None
                raise translate_error(error, self._api.name, self._errors) from None

    def _on_event(self, event: EngineEvent) -> None:
        """Process an event of the engine; Pulumi calls this from another thread."""
        if before := event.resource_pre_event:
            self.steps.begin(before.metadata)
        elif after := event.res_outputs_event:
            done = self.steps.end(after.metadata.urn)
            if done and not after.planning:
                self._say(done)
        elif (diagnostic := event.diagnostic_event) and diagnostic.severity == "error":
            self._errors.append(_reason(diagnostic))


def translate_error(
    error: CommandError, stack: str, reasons: Sequence[str] = ()
) -> RayliftError:
    """Return the error that corresponds to an error of the Pulumi CLI.

    `reasons` are the engine's diagnostics, which are more specific than the CLI's
    final message.
    """
    text = _COLOUR.sub("", str(error))
    if "is currently locked by" in text:
        return locked(stack, text)
    if "incorrect passphrase" in text:
        return PermissionDenied(
            f"wrong passphrase for stack '{stack}'",
            hint="run `export PULUMI_CONFIG_PASSPHRASE=…` with the stack's passphrase",
        )
    if "passphrase must be set" in text:
        return InvalidInput.at(
            "",
            "PULUMI_CONFIG_PASSPHRASE is not set",
            hint="set it to the passphrase of the stack",
        )
    if match := _PLUGIN.search(text):
        name = match[1] or match[2]
        return FailedPrecondition(
            f"the Pulumi plugin for {name} is not installed",
            hint=f"run `pulumi plugin install resource {name} {_plugin_version(name)}`",
        )
    if not reasons and _UNREACHABLE.search(text):
        return Unreachable(
            f"cannot reach the Pulumi state backend: {_last_line(text)}",
            hint="check it with `pulumi stack ls`",
        )
    if match := next(filter(None, map(_REPOSITORY.search, reasons)), None):
        hint = "check the connection"
        if "kuberay" in match[1]:
            hint += "; to use an existing KubeRay operator, set"
            hint += " raylift:ray.operator.install to false"
        return Unreachable(f"cannot reach the Helm repository {match[1]}", hint=hint)
    return RayliftError(
        "; ".join(dict.fromkeys(reasons or [_last_line(text)])),
        hint="fix the cause, then run the same command again",
    )


def read(api: automation.Stack, question: Callable[[], T]) -> T:
    """Return data from the backend, such as outputs or state, without taking a lock.

    Raises:
        RayliftError: The backend cannot be read.
        StackNotFoundError: The backend does not contain the stack.
    """
    try:
        return question()
    except StackNotFoundError:
        raise
    except CommandError as error:
        raise translate_error(error, api.name) from None


def _reason(diagnostic: DiagnosticEvent) -> str:
    """Return an error as one line, prefixed with the name of its resource."""
    text = " ".join(_COLOUR.sub("", diagnostic.message).split())
    name = diagnostic.urn.rsplit("::", 1)[-1] if diagnostic.urn else ""
    return f"{name}: {text}" if name else text


def _plugin_version(name: str) -> str:
    """Return the plugin version that matches the installed SDK, or ""."""
    try:
        return f"v{importlib.metadata.version(f'pulumi-{name}')}"
    except importlib.metadata.PackageNotFoundError:
        return ""


def _last_line(text: str) -> str:
    lines = [line.strip().removeprefix("stderr: ") for line in text.splitlines()]
    lines = [line for line in lines if line]
    errors = [line for line in lines if line.startswith("error:")]
    return (errors or lines or ["Pulumi failed"])[-1].removeprefix("error: ")
