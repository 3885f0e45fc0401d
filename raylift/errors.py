"""The errors that raylift reports, and their exit codes.

RayliftError              1    any other failure
├── InvalidInput          2    a file or an argument is invalid; nothing was changed
├── FailedPrecondition    3    the stack is not up, or lacks capacity or a version
├── Unreachable           4    no response in time; state unknown; safe to run again
├── Conflict              5    a concurrent change, or a lock held by another command
├── RolledBack            6    the deploy failed and was rolled back
├── NotRolledBack         7    the deploy failed, and so did the rollback
├── PermissionDenied      8    authentication or permission
└── Leftovers             9    a delete was incomplete, or state needs repair

The message states what failed and why; `hint` is the next action. Neither contains a
secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class RayliftError(Exception):
    """A failure that no other exit code describes, or a problem that `status` found."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Problem:
    """An error in the input; `location` is its `file:line`, or empty."""

    location: str
    text: str

    def __str__(self) -> str:
        return f"{self.location}: {self.text}" if self.location else self.text


class InvalidInput(RayliftError):
    """The input has one or more problems, all of which are listed."""

    exit_code = 2

    def __init__(self, *problems: Problem, hint: str = "") -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint=hint)
        self.problems = problems

    @classmethod
    def at(cls, location: str, text: str, *, hint: str = "") -> InvalidInput:
        """Return an error with a single problem."""
        return cls(Problem(location, text), hint=hint)


class FailedPrecondition(RayliftError):
    """The system is not in the state that the command requires."""

    exit_code = 3


class Unreachable(RayliftError):
    """The target gave no usable response in time."""

    exit_code = 4


class Busy(Unreachable):
    """The target accepted the request but did not respond in time."""


class Conflict(RayliftError):
    """A concurrent change, or a lock that another command holds."""

    exit_code = 5


class RolledBack(RayliftError):
    """The deploy failed and was rolled back to the last good version."""

    exit_code = 6


class NotRolledBack(RayliftError):
    """The deploy failed, and so did the rollback to the last good version."""

    exit_code = 7


class PermissionDenied(RayliftError):
    """A missing permission or a failed authentication, in any system raylift uses."""

    exit_code = 8


class Leftovers(RayliftError):
    """A delete did not remove every resource, or stored state needs repair."""

    exit_code = 9
