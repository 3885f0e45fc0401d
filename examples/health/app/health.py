"""Health checks: a replica that turns bad is replaced while requests go on."""

import asyncio
import os

from fastapi import FastAPI
from ray import serve

api = FastAPI()


@serve.deployment
@serve.ingress(api)
class Model:
    """A model that can be told to turn bad, as a lost GPU or a leak would make it."""

    def __init__(self) -> None:
        self.fault = ""

    async def check_health(self) -> None:
        """Ray calls this; to raise, or to take too long, three times is to be ill."""
        if self.fault == "raise":
            raise RuntimeError("the GPU is lost")
        if self.fault == "hang":
            await asyncio.sleep(3600)

    @api.get("/")
    def predict(self) -> int:
        """Say which replica answers."""
        return os.getpid()

    @api.get("/slow")
    async def slow(self, seconds: float = 5) -> str:
        """Take long, so that a delete or a new version meets a request at work."""
        await asyncio.sleep(seconds)
        return f"finished by {os.getpid()}"

    @api.post("/turn-bad")
    def turn_bad(self, how: str = "raise") -> int:
        """Make the replica that gets this request fail its next health checks."""
        self.fault = how
        return os.getpid()


app = Model.bind()
