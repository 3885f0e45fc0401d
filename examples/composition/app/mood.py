"""A graph of deployments: fan-out, chained responses, an ensemble.

              ┌─ Words ─┐
    Clean ────┼─ Marks ─┼──── mean
              └─ Emoji ─┘

A response that is passed on without being awaited goes from replica to replica as soon
as it is there; the ingress waits once, for all members of the ensemble.
"""

import asyncio
import os
import re
from statistics import mean
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request

SECONDS = 0.5  # what a real model would take
GOOD = {"good", "great", "love"}
BAD = {"bad", "awful", "hate"}

Opinion = dict[str, Any]


@serve.deployment
class Clean:
    """Lower case, single spaces."""

    def __call__(self, text: str) -> str:
        """Clean a text."""
        return re.sub(r"\s+", " ", text).strip().lower()


@serve.deployment
class Words:
    """A model that counts words."""

    async def __call__(self, text: str) -> Opinion:
        """Judge from -1 to 1."""
        await asyncio.sleep(SECONDS)
        words = set(re.findall(r"\w+", text))
        return opinion("words", len(words & GOOD) - len(words & BAD))


@serve.deployment
class Marks:
    """A model that looks at punctuation."""

    async def __call__(self, text: str) -> Opinion:
        """Judge from -1 to 1."""
        await asyncio.sleep(SECONDS)
        return opinion("marks", text.count("!") - text.count("?"))


@serve.deployment
class Emoji:
    """A model that looks at smileys."""

    async def __call__(self, text: str) -> Opinion:
        """Judge from -1 to 1."""
        await asyncio.sleep(SECONDS)
        return opinion("emoji", text.count(":)") - text.count(":("))


def opinion(model: str, score: float) -> Opinion:
    """Say what a model found, and which replica ran it."""
    return {"model": model, "score": max(-1, min(1, score)), "pid": os.getpid()}


@serve.deployment
class Ensemble:
    """The ingress: the edges of the graph, and the mean of what comes back."""

    def __init__(
        self, clean: DeploymentHandle, members: list[DeploymentHandle]
    ) -> None:
        """Take a handle for each node."""
        self.clean = clean
        self.members = members

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Start the whole graph, then wait for it."""
        text = self.clean.remote(request.query_params["text"])
        opinions = await asyncio.gather(*(m.remote(text) for m in self.members))
        return {"score": mean(o["score"] for o in opinions), "opinions": opinions}


app = Ensemble.bind(Clean.bind(), [Words.bind(), Marks.bind(), Emoji.bind()])
