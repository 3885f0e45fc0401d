"""Stack: what every target can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.config import StackConfig
    from raylift.outputs import StackOutputs


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that `up` would do: `start`, `stop` or `restart`, and to what."""

    action: str
    what: str
    reason: str = ""


class Stack(Protocol):
    """One place to serve from. No method prints; progress goes to a callback."""

    name: str

    @property
    def config(self) -> StackConfig:
        """What its file says, read when first asked for.

        Raises:
            InputFailed: with everything that is wrong in the file.
        """

    @property
    def node_count(self) -> int:
        """How many Ray nodes the stack has once it is up."""

    def exists(self) -> bool:
        """Whether anything of the stack is there: a process or a file."""

    def preview(self, *, restart: bool = False) -> list[Change]:
        """What `up` would change; empty when there is nothing to do."""

    def up(
        self, *, progress: Callable[[str], None], restart: bool = False
    ) -> StackOutputs:
        """Make the stack what its file says; returns before Ray's head answers."""

    def outputs(self) -> StackOutputs:
        """How to reach the stack.

        Raises:
            CannotWork: it is not up.
        """

    def why_dead(self) -> str:
        """Which node ended and why, from its own log; empty while all live."""

    def silent_nodes(self) -> list[str]:
        """Nodes that do not answer at this moment, by name."""

    def destroy(self, *, progress: Callable[[str], None]) -> bool:
        """End everything of the stack; False when there was nothing.

        Raises:
            LeftBehind: something could not be removed; it is named.
        """
