"""Health checks: Ray replaces an unhealthy replica while the other one answers."""

import asyncio
import os

from fastapi import FastAPI
from ray import serve

api = FastAPI()


@serve.deployment
@serve.ingress(api)
class Model:
    """A model that a request can make unhealthy, to simulate a lost GPU or a leak."""

    def __init__(self) -> None:
        self.fault = ""

    async def check_health(self) -> None:
        """Raise an exception or hang if the replica is unhealthy.

        Ray replaces the replica after three consecutive exceptions or timeouts.
        """
        if self.fault == "raise":
            raise RuntimeError("the GPU is lost")
        if self.fault == "hang":
            await asyncio.sleep(3600)

    @api.get("/")
    def predict(self) -> int:
        """Return the PID of the replica."""
        return os.getpid()

    @api.get("/slow")
    async def slow(self, seconds: float = 5) -> str:
        """Answer slowly, so that a delete or a deploy occurs during the request."""
        await asyncio.sleep(seconds)
        return f"finished by {os.getpid()}"

    @api.post("/turn-bad")
    def turn_bad(self, how: str = "raise") -> int:
        """Make the replica that receives this request fail its next health checks."""
        self.fault = how
        return os.getpid()


app = Model.bind()
