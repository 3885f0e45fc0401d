"""A graph of deployments: fan-out, chained responses, an ensemble.

              ┌─ Words ─┐
    Clean ────┼─ Marks ─┼──── mean
              └─ Emoji ─┘

A response that is passed on without `await` goes directly from replica to replica as
soon as it is available. The ingress waits once, for all members of the ensemble.
"""

import asyncio
import os
import re
from statistics import mean
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request

SECONDS = 0.5  # simulated duration of a model call
GOOD = {"good", "great", "love"}
BAD = {"bad", "awful", "hate"}

Opinion = dict[str, Any]


@serve.deployment
class Clean:
    """A deployment that converts text to lower case and collapses whitespace."""

    def __call__(self, text: str) -> str:
        """Return the cleaned text."""
        return re.sub(r"\s+", " ", text).strip().lower()


@serve.deployment
class Words:
    """A simulated model that counts good and bad words."""

    async def __call__(self, text: str) -> Opinion:
        """Return an opinion with a score from -1 to 1."""
        await asyncio.sleep(SECONDS)
        words = set(re.findall(r"\w+", text))
        return opinion("words", len(words & GOOD) - len(words & BAD))


@serve.deployment
class Marks:
    """A simulated model that counts punctuation marks."""

    async def __call__(self, text: str) -> Opinion:
        """Return an opinion with a score from -1 to 1."""
        await asyncio.sleep(SECONDS)
        return opinion("marks", text.count("!") - text.count("?"))


@serve.deployment
class Emoji:
    """A simulated model that counts smileys."""

    async def __call__(self, text: str) -> Opinion:
        """Return an opinion with a score from -1 to 1."""
        await asyncio.sleep(SECONDS)
        return opinion("emoji", text.count(":)") - text.count(":("))


def opinion(model: str, score: float) -> Opinion:
    """Return the score of a model and the PID of its replica."""
    return {"model": model, "score": max(-1, min(1, score)), "pid": os.getpid()}


@serve.deployment
class Ensemble:
    """The ingress, which connects the deployments and returns their mean score."""

    def __init__(
        self, clean: DeploymentHandle, members: list[DeploymentHandle]
    ) -> None:
        """Store the handles of the other deployments."""
        self.clean = clean
        self.members = members

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Start all calls of the graph, then wait for the results."""
        text = self.clean.remote(request.query_params["text"])
        opinions = await asyncio.gather(*(m.remote(text) for m in self.members))
        return {"score": mean(o["score"] for o in opinions), "opinions": opinions}


app = Ensemble.bind(Clean.bind(), [Words.bind(), Marks.bind(), Emoji.bind()])
