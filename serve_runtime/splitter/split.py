"""The split of traffic between applications: a splitter's `user_config`."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from raylift.strict_model import NotNegative, Positive, Strict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Percent = Annotated[NotNegative, Field(le=100)]
Name = Annotated[str, Field(min_length=1)]
Weights = dict[Name, NotNegative]


class Sticky(Strict):
    """The identity of a caller: a request header or a cookie.

    The splitter sets the cookie for callers without it.
    """

    header: Name | None = None
    cookie: Annotated[str, Field(pattern=r"^[\w.-]+$")] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.header is None) == (self.cookie is None):
            raise ValueError("must have either header or cookie")
        return self


class Lease(Strict):
    """A time limit: after `seconds`, the weights in `arms` take effect.

    A canary renews the lease by changing `renewed`. If the canary stops, the previous
    weights are restored automatically.
    """

    seconds: Positive
    arms: Weights
    renewed: int = 0


class Split(Strict):
    """Weights by application. A share is a weight divided by the sum of weights.

    `mirror` maps applications to the percentage of requests that they receive a copy
    of. Their responses are dropped.
    """

    arms: Weights
    sticky: Sticky | None = None
    mirror: dict[Name, Percent] = {}
    lease: Lease | None = None

    @model_validator(mode="after")
    def _some_traffic(self) -> Self:
        if not any(self.arms.values()):
            raise ValueError("arms: at least one arm must have a weight above 0")
        return self


def choose(
    weights: Mapping[str, float], caller: str, *, among: Collection[str]
) -> str | None:
    """Return the arm of a caller by weighted rendezvous hashing, or None without arms.

    A change of weights moves as few callers as possible to another arm.
    """
    best, highest = None, -math.inf
    for arm, weight in weights.items():
        if weight > 0 and arm in among:
            score = math.log(_uniform(arm, caller)) / weight
            if score > highest:
                best, highest = arm, score
    return best


def _uniform(arm: str, caller: str) -> float:
    """Return a number in (0, 1) that depends only on the arm and the caller."""
    digest = blake2b(f"{arm}\0{caller}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) + 1) / (2**64 + 1)
