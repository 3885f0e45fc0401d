"""Parsing of `--canary 5,25,50,100 --step 60s`."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from raylift.errors import InvalidInput
from raylift.messages import printable

_ALL = 100.0
# Metrics are up to 2.5 s old on `local` (infra/local/node_plan.py), 10 s by default.
_SHORTEST = 5.0
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class CanarySteps:
    """The percentage of traffic in each step, and the duration of a step in seconds."""

    percents: tuple[float, ...]
    seconds: float


def canary_steps(
    canary: str | None, *, blue_green: bool, step: str
) -> CanarySteps | None:
    """Return the steps of a gradual rollout, or None without --canary and --blue-green.

    Raises:
        InvalidInput: An option is invalid.
    """
    if canary is not None and blue_green:
        raise _invalid("--canary cannot be combined with --blue-green")
    if canary is None and not blue_green:
        return None
    percents = (_ALL,) if canary is None else _percents(canary)
    return CanarySteps(percents, _seconds(step))


def _percents(text: str) -> tuple[float, ...]:
    try:
        percents = tuple(float(part) for part in text.split(","))
    except ValueError:
        percents = ()
    rising = all(a < b for a, b in itertools.pairwise(percents))
    if not percents or not rising or percents[0] <= 0 or percents[-1] != _ALL:
        raise _invalid(
            f"--canary {printable(text)}: must be increasing percentages that end at"
            " 100, such as"
            " 5,25,50,100"
        )
    return percents


def _seconds(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,6}(?:\.[0-9]+)?)([smh]?)", text)
    if not match:
        raise _invalid(
            f"--step {printable(text)}: must be a duration such as 60s or 5m"
        )
    seconds = float(match[1]) * _UNITS[match[2]]
    if seconds < _SHORTEST:
        raise _invalid(
            f"--step {text}: must be at least {_SHORTEST:g}s, so that"
            " metrics can arrive"
        )
    return seconds


def _invalid(text: str) -> InvalidInput:
    return InvalidInput.at("command line", text, hint="run `raylift deploy --help`")
