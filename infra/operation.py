"""One operation of Pulumi's engine: its steps as they happen, its errors as ours."""

from __future__ import annotations

import importlib.metadata
import re
from typing import TYPE_CHECKING, Any, TypeVar

from pulumi.automation.errors import CommandError, StackNotFoundError

from infra.backend import holder_of
from infra.interrupts import Interrupts
from infra.steps import Steps
from raylift.errors import (
    CannotWork,
    Conflict,
    Denied,
    InputFailed,
    RayliftError,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pulumi import automation

    from infra.stack import Say

T = TypeVar("T")

_PARALLEL = 32
_PLUGIN = re.compile(r"resource plugin '?pulumi-resource-(\w+)'?|plugin (\w+)-v?[\d.]+")
_COLOUR = re.compile(r"<\{%[^%]*%\}>|\x1b\[[0-9;]*m")
_UNREACHABLE = re.compile(
    r"connection refused|no such host|i/o timeout|dial tcp|\.pulumi/meta\.yaml|"
    r"operation error S3|could not open bucket"
)


def silent(_: object) -> None:
    """Progress that nobody wants to hear of."""


class Operation:
    """What the engine does to a stack in one run.

    What it has done is told to `say`, each as a Done.
    """

    def __init__(self, api: automation.Stack, say: Say = silent) -> None:
        self.steps = Steps()
        self._api = api
        self._say = say
        self._errors: list[str] = []

    def run(self, operation: Callable[..., T], **arguments: Any) -> T:  # noqa: ANN401 Pulumi's
        """Let the engine work; the arguments are those of the operation.

        Raises:
            RayliftError: it failed, with the engine's reasons.
            KeyboardInterrupt: it ended early, as it was asked to.
        """
        return self.call(
            operation,
            **arguments,
            on_event=self._note,
            suppress_progress=True,
            color="never",
        )

    def in_parallel(self, operation: Callable[..., T], **arguments: Any) -> T:  # noqa: ANN401 Pulumi's
        """As `run`, on as many resources at once as depend on no other."""
        return self.run(operation, parallel=_PARALLEL, **arguments)

    def call(self, function: Callable[..., T], *given: Any, **arguments: Any) -> T:  # noqa: ANN401 Pulumi's
        """As `run`, for a function that has no events.

        A lock that a dead process of this machine left is freed.
        """
        with Interrupts(self._say) as interrupts:
            try:
                try:
                    return function(*given, **arguments)
                except CommandError as error:
                    holder = holder_of(str(error))
                    if holder is None or not holder.is_dead():
                        raise
                    self._say(f"the lock of {holder} is freed: that process is gone")
                    self._api.cancel()
                    return function(*given, **arguments)
            except CommandError as error:
                if interrupts.count:
                    raise KeyboardInterrupt from None
                raise told(error, self._api.name, self._errors) from None

    def _note(self, event: Any) -> None:  # noqa: ANN401 Pulumi's
        """One event of the engine. Pulumi calls this from a thread of its own."""
        if before := event.resource_pre_event:
            self.steps.begin(before.metadata)
        elif after := event.res_outputs_event:
            done = self.steps.end(after.metadata.urn)
            if done and not after.planning:
                self._say(done)
        elif (diagnostic := event.diagnostic_event) and diagnostic.severity == "error":
            self._errors.append(_reason(diagnostic))


def told(error: CommandError, stack: str, reasons: Sequence[str] = ()) -> RayliftError:
    """An error of Pulumi's command line as one of ours.

    `reasons` are what the engine itself named; it says less in the end.
    """
    text = _COLOUR.sub("", str(error))
    if "is currently locked by" in text:
        return locked(stack, text)
    if "incorrect passphrase" in text:
        return Denied(
            f"the passphrase does not fit stack '{stack}'",
            hint="export PULUMI_CONFIG_PASSPHRASE=…",
        )
    if "passphrase must be set" in text:
        return InputFailed.at("", "PULUMI_CONFIG_PASSPHRASE is not set")
    if match := _PLUGIN.search(text):
        name = match[1] or match[2]
        return CannotWork(
            f"Pulumi's plugin for {name} is not installed",
            hint=f"pulumi plugin install resource {name} {_plugin_version(name)}",
        )
    if not reasons and _UNREACHABLE.search(text):
        return Unreachable(
            f"the place of Pulumi's state does not answer: {_last_line(text)}",
            hint="pulumi stack ls asks it too",
        )
    return RayliftError(
        "\n".join(dict.fromkeys(reasons or [_last_line(text)])),
        hint=f"raylift up -s {stack} goes on where this run ended",
    )


def read(api: automation.Stack, question: Callable[[], T]) -> T:
    """What the backend says of a stack: its outputs, its state. It takes no lock.

    Raises:
        RayliftError: the backend does not say.
        StackNotFoundError: it has no such stack.
    """
    try:
        return question()
    except StackNotFoundError:
        raise
    except CommandError as error:
        raise told(error, api.name) from None


def locked(stack: str, text: str) -> Conflict:
    """Who holds the lock of a stack, as far as Pulumi's text names somebody."""
    return Conflict(
        f"stack '{stack}' is locked by {holder_of(text) or 'somebody else'}",
        hint=f"if that run is gone: pulumi cancel --stack {stack}",
    )


def _reason(diagnostic: Any) -> str:  # noqa: ANN401 Pulumi's event
    """An error's first lines, with the resource that it is about."""
    text = " ".join(_COLOUR.sub("", diagnostic.message).split())
    name = diagnostic.urn.rsplit("::", 1)[-1] if diagnostic.urn else ""
    return f"{name}: {text}" if name else text


def _plugin_version(name: str) -> str:
    """The version that the installed SDK asks for."""
    try:
        return f"v{importlib.metadata.version(f'pulumi-{name}')}"
    except importlib.metadata.PackageNotFoundError:
        return ""


def _last_line(text: str) -> str:
    lines = [line.strip().removeprefix("stderr: ") for line in text.splitlines()]
    lines = [line for line in lines if line]
    wrong = [line for line in lines if line.startswith("error:")]
    return (wrong or lines or ["Pulumi failed"])[-1].removeprefix("error: ")
