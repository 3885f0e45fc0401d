"""A model whose replicas follow its load; how they do is all in serve.yaml."""

import asyncio
import os

from ray import serve


@serve.deployment
class Model:
    """A simulated model: a second of work for each request."""

    async def __call__(self) -> dict[str, int]:
        """Answer, and say which replica it was."""
        await asyncio.sleep(1)
        return {"pid": os.getpid()}


app = Model.bind()
