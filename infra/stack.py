"""Stack: what every target can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.config import StackConfig
    from raylift.outputs import ClusterOutputs, StackOutputs


# Progress: a line, or something whose text is one.
Say: TypeAlias = "Callable[[object], None]"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that `up` would do, and to what.

    On `local` to a node: `start`, `stop` or `restart`. Elsewhere to a resource:
    `create`, `change`, `replace` or `delete`.
    """

    action: str
    what: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Working:
    """A resource that is being changed, for how many seconds already, or is done."""

    kind: str
    name: str
    seconds: float
    is_done: bool


class Stack(Protocol):
    """What every target can do. No method prints; progress goes to a callback."""

    name: str

    @property
    def config(self) -> StackConfig:
        """What its file says, read when first asked for.

        Raises:
            InputFailed: with everything that is wrong in the file.
        """

    def exists(self) -> bool:
        """Whether anything of the stack is there: a process or a file."""

    def preview(self, *, restart: bool = False) -> list[Change]:
        """What `up` would change; empty when there is nothing to do."""

    def up(
        self, *, progress: Say, restart: bool = False
    ) -> StackOutputs | ClusterOutputs:
        """Make the stack what its file says."""

    def outputs(self) -> StackOutputs | ClusterOutputs:
        """How to reach the stack.

        Raises:
            CannotWork: it is not up.
        """

    def destroy(self, *, progress: Say) -> bool:
        """End everything of the stack; False when there was nothing.

        Raises:
            LeftBehind: something could not be removed; it is named.
        """
