"""The interface that every target implements, and its return values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from raylift.infra.config.base import StackConfig
    from raylift.outputs import KubernetesOutputs, LocalOutputs


# A progress callback. It receives a line, or a value whose `str` is a line.
Say: TypeAlias = "Callable[[object], None]"


@dataclass(frozen=True, slots=True)
class StackChange:
    """A change that `up` would apply, and its object.

    On `local` the object is a node and the action `start`, `stop` or `restart`. On the
    other targets it is a resource and the action `create`, `change`, `replace` or
    `delete`.
    """

    action: str
    what: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RunningStep:
    """An operation on a resource, and how long it has been running, in seconds."""

    kind: str
    name: str
    seconds: float
    is_done: bool


class ServingStack(Protocol):
    """A stack of any target whose applications a command uses."""

    name: str

    @property
    def config(self) -> StackConfig:
        """The stack file, read on first access.

        Raises:
            InvalidInput: The file has errors. All of them are reported.
        """

    def missing_nodes(self, marks: Collection[str]) -> list[str]:
        """Return the names of nodes that should be running but do not respond.

        `marks` are the NODE_LABEL values of the nodes that Ray reports. Always empty
        on Kubernetes, where an autoscaler adds and removes nodes.
        """


class Stack(ServingStack, Protocol):
    """The operations on a stack of any target.

    No method prints. Progress goes to a callback.
    """

    after_destroy: str
    """The result of `destroy`, as the end of a sentence."""

    def recover(self, *, progress: Say) -> None:
        """Complete what an interrupted run left unfinished.

        Call it before `preview`, which would otherwise describe an outdated state.
        No-op on `local`, where `up` compares the stack file with the running processes.
        """

    def preview(self, *, restart: bool = False) -> list[StackChange]:
        """Return the changes that `up` would make."""

    def up(
        self, *, progress: Say, restart: bool = False
    ) -> LocalOutputs | KubernetesOutputs:
        """Create or update the stack to match its file."""

    def running_steps(self) -> list[RunningStep]:
        """Return the steps of the current or last operation; empty on `local`."""

    def check_deletable(self) -> bool:
        """Return whether there is anything to delete.

        Raises:
            FailedPrecondition: The stack cannot be deleted.
        """

    def destroy(self, *, progress: Say) -> bool:
        """Delete everything in the stack; return False if nothing existed.

        Raises:
            FailedPrecondition: See `check_deletable`.
            Leftovers: Something could not be deleted. The message names it.
        """
