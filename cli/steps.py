"""`--canary 5,25,50,100 --step 60s` as values."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from raylift.errors import InputFailed
from raylift.wording import printable

_ALL = 100.0
# Ray's metrics are up to 2.5 s old on `local` (infra/local/nodes.py), 10 s by default.
_SHORTEST = 5.0
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Steps:
    """Percent of the traffic, one step after the other, and seconds for each."""

    percents: tuple[float, ...]
    seconds: float


def steps_of(canary: str | None, *, blue_green: bool, step: str) -> Steps | None:
    """The steps that a command line asks for; None without any.

    Raises:
        InputFailed: they are no steps.
    """
    if canary is not None and blue_green:
        raise _wrong("--canary and --blue-green exclude each other")
    if canary is None and not blue_green:
        return None
    percents = (_ALL,) if canary is None else _percents(canary)
    return Steps(percents, _seconds(step))


def _percents(text: str) -> tuple[float, ...]:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    rising = all(a < b for a, b in itertools.pairwise(found))
    if not found or not rising or found[0] <= 0 or found[-1] != _ALL:
        raise _wrong(
            f"--canary {printable(text)}: must be percentages that rise to 100, such as"
            " 5,25,50,100"
        )
    return found


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]+)?)([smh]?)", text)
    if not match:
        raise _wrong(f"--step {printable(text)}: must be a time such as 60s or 5m")
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds < _SHORTEST:
        raise _wrong(f"--step {text}: must be {_SHORTEST:g}s or more, or no data is in")
    return seconds


def _wrong(text: str) -> InputFailed:
    return InputFailed.at("command line", text, hint="raylift deploy --help")
