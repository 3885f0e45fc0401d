"""A model whose number of replicas follows its load, as `serve.yaml` configures it."""

import asyncio
import os

from ray import serve


@serve.deployment
class Model:
    """A simulated model that takes 1 s per request."""

    async def __call__(self) -> dict[str, int]:
        """Return the PID of the replica after 1 s."""
        await asyncio.sleep(1)
        return {"pid": os.getpid()}


app = Model.bind()
