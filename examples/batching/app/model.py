"""Dynamic batching: requests that come together share one call of the model."""

import asyncio
from typing import Any

from ray import serve
from starlette.requests import Request

SECONDS = 0.2  # of a call, whether it has one item or many


class Model:
    """A simulated model on a device that does one call at a time."""

    def __init__(self) -> None:
        self.device = asyncio.Lock()

    async def __call__(self, texts: list[str]) -> list[dict[str, Any]]:
        """Work on all texts in one call."""
        async with self.device:
            await asyncio.sleep(SECONDS)
        return [{"length": len(text), "batch": len(texts)} for text in texts]


@serve.deployment
class Batched:
    """Gathers requests, up to a number and for a time, and calls the model once."""

    def __init__(self) -> None:
        """Load the model."""
        self.model = Model()

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take the size of a batch and the time to wait for it, without a restart."""
        self.predict.set_max_batch_size(user_config["max_batch_size"])
        self.predict.set_batch_wait_timeout_s(user_config["batch_wait_timeout_s"])

    @serve.batch
    async def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        """Get the arguments of many calls, return a result for each."""
        return await self.model(texts)

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Call `predict` as if it took one text."""
        return await self.predict(request.query_params["text"])


@serve.deployment
class Unbatched:
    """The same without batches, to compare."""

    def __init__(self) -> None:
        """Load the model."""
        self.model = Model()

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Call the model for this request alone."""
        return (await self.model([request.query_params["text"]]))[0]


batched = Batched.bind()
unbatched = Unbatched.bind()
