"""Pure: how traffic is split between applications, the splitter's `user_config`."""

from __future__ import annotations

import math
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from raylift.model import NotNegative, Positive, Strict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Percent = Annotated[NotNegative, Field(le=100)]
Name = Annotated[str, Field(min_length=1)]
Weights = dict[Name, NotNegative]


class Sticky(Strict):
    """What tells one caller from another: a request header, or a cookie.

    A caller without the cookie is given one.
    """

    header: Name | None = None
    cookie: Annotated[str, Field(pattern=r"^[\w.-]+$")] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.header is None) == (self.cookie is None):
            raise ValueError("give either header or cookie")
        return self


class Lease(Strict):
    """Weights that hold for `seconds` only, then `arms` hold.

    Whoever shifts traffic step by step renews it, by any change of `renewed`; when he
    is gone, the traffic goes back by itself.
    """

    seconds: Positive
    arms: Weights
    renewed: int = 0


class Split(Strict):
    """Weights by application; shares are weights over their sum.

    `mirror` sends copies of so many percent of the requests to other applications
    and drops their answers.
    """

    arms: Weights
    sticky: Sticky | None = None
    mirror: dict[Name, Percent] = {}
    lease: Lease | None = None

    @model_validator(mode="after")
    def _some_traffic(self) -> Self:
        if not any(self.arms.values()):
            raise ValueError("arms: one arm at least needs a weight above 0")
        return self


def choose(
    weights: Mapping[str, float], caller: str, *, among: Collection[str]
) -> str | None:
    """The arm of a caller, by weighted rendezvous hashing; None if there is none.

    The same caller stays with his arm for as long as the weights let him: of a change
    only the share moves that has to.
    """
    best, highest = None, -math.inf
    for arm, weight in weights.items():
        if weight > 0 and arm in among:
            score = math.log(_uniform(arm, caller)) / weight
            if score > highest:
                best, highest = arm, score
    return best


def _uniform(arm: str, caller: str) -> float:
    """A number in (0, 1), always the same for these two."""
    digest = blake2b(f"{arm}\0{caller}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) + 1) / (2**64 + 1)
