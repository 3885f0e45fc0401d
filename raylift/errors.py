"""Every error that a user may see, and the exit code it ends the command with.

RayliftError
├── InputFailed       2    a file or an argument is wrong; nothing was written
├── CannotWork        3    the stack is not up, capacity or a version is missing
├── Unreachable       4    no answer in time; state unknown; safe to run again
├── Conflict          5    somebody else changed or holds it
├── RolledBack        6    the deploy failed; what served before serves again
├── NotRolledBack     7    the deploy failed and going back failed too
├── Denied            8    authentication or permission
└── LeftBehind        9    something is left after a delete, or state needs repair

A plain RayliftError is exit code 1. The text says what failed and why; `hint` is
the next thing to do. Neither carries a secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


class RayliftError(Exception):
    """An error told in one line, with a hint in the next."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with the input: where (file and line), what, what to do."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}" if self.place else self.text


class InputFailed(RayliftError):
    """The input is wrong in one or more places, all of them listed."""

    exit_code = 2

    def __init__(self, *problems: Problem, hint: str = "") -> None:
        super().__init__("\n".join(str(problem) for problem in problems), hint=hint)
        self.problems = problems

    @classmethod
    def at(cls, place: str, text: str, *, hint: str = "") -> InputFailed:
        """A single problem at one place."""
        return cls(Problem(place, text), hint=hint)


class CannotWork(RayliftError):
    """What was asked cannot work here and now."""

    exit_code = 3


class Unreachable(RayliftError):
    """The target gave no usable answer in time."""

    exit_code = 4


class Busy(Unreachable):
    """It took the question and gave no answer in time: it may be working on it."""


class Conflict(RayliftError):
    """Somebody else changed or holds what this command wanted to change."""

    exit_code = 5


class RolledBack(RayliftError):
    """The deploy failed; the last good version serves again."""

    exit_code = 6


class NotRolledBack(RayliftError):
    """The deploy failed, and the last good version could not be put back."""

    exit_code = 7


class Denied(RayliftError):
    """The token was missing or wrong, or a file may not be read or written."""

    exit_code = 8


class LeftBehind(RayliftError):
    """A delete left something, or stored state needs repair."""

    exit_code = 9
