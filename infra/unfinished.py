"""What a killed run has left half done is brought to an end, before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.begun import free, look_for
from infra.operation import locked, read
from infra.pending import (
    ending,
    pending,
    there,
    unread,
    useless,
    without_pending,
)
from raylift.errors import RayliftError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pulumi.automation import Stack

    from infra.operation import Operation
    from infra.stack import Say


def finish(api: Stack, say: Say, *, operation: Callable[[], Operation]) -> None:
    """Give the state what was begun, and take away what is of no use.

    What was being deleted is deleted first: as long as that is in the state, an `up`
    takes it for made.

    Raises:
        Conflict: that run goes on.
    """
    state = read(api, api.export_stack)
    for what in pending(state):
        if not what.startswith("creating"):
            say(f"a run was cut off while {what}: done again where needed")
    if urns := ending(state):
        _remove(api, urns, operation)
        state = read(api, api.export_stack)
    if pending(state):
        found = look_for(api.name, state, say)
        if read(api, api.export_stack).deployment != state.deployment:
            raise locked(api.name, "")
        state = without_pending(state, found)
        operation().call(api.import_stack, state)
    free(api.name, state)
    if urns := useless(state):
        _remove(api, urns, operation)
        state = read(api, api.export_stack)
    if urns := unread(state):
        operation().run(api.refresh, target=urns)


def _remove(api: Stack, urns: list[str], operation: Callable[[], Operation]) -> None:
    """Delete these; they are read first, as Helm refuses to delete what is gone.

    Then the engine refuses for those: it is asked again for the others.
    """
    try:
        operation().run(api.destroy, target=urns, refresh=True)
    except RayliftError:
        left = there(read(api, api.export_stack), urns)
        if left == urns:
            raise
        if left:
            _remove(api, left, operation)
